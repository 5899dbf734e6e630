"""The table of identification domains (``region.toml``), read once into typed domains.

Everything that is wrong in the file is collected and refused together, each with the line, the domain and the key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ihe.communities import Community
from ihe.values import AssigningAuthority, Oid
from region.community_rows import community_problem, is_oid
from region.consumers import (
    FhirNotification,
    Notification,
    SoapNotification,
    read_fhir_notification,
    read_notification,
    read_soap_notification,
)

__all__ = [
    "Domain",
    "DomainKind",
    "FhirNotification",
    "LinkRegistry",
    "Notification",
    "RegionTable",
    "RegionTableError",
    "Sender",
    "SoapNotification",
    "load_region",
]


_Told = TypeVar("_Told", Notification, SoapNotification, FhirNotification)


class DomainKind(StrEnum):
    """What an identification domain is."""

    ESTABLISHMENT = "establishment"
    PLATFORM = "platform"
    REGION = "region"
    NATIONAL = "national"


@dataclass(frozen=True, slots=True)
class Sender:
    """A system that may feed a domain over HL7 v2: MSH-3 and MSH-4."""

    application: str
    facility: str


@dataclass(frozen=True, slots=True)
class LinkRegistry:
    """A document registry of others that is told when patients are linked otherwise (ITI-64).

    Attributes:
        name: stable name under which deliveries are recorded.
        notification: where the messages go.
    """

    name: str
    notification: Notification


@dataclass(frozen=True, slots=True)
class Domain:
    """An identification domain: one assigning authority of patient identifiers.

    Attributes:
        code: stable name in commands, files and the workbench.
        authority: namespace and OID, both present.
        finess: FINESS of the legal entity, or ``None`` when not verified.
        cog: INSEE commune code of the main site, or ``None``.
        facility_type: XDS healthcareFacilityTypeCode, or ``None``.
        pacs_url: DICOMweb root of the PACS with its images, without trailing slash, or ``None``.
        repository_unique_id: XDS repositoryUniqueId under which its documents are kept, or ``None``.
        imaging_source_id: DICOM Retrieve Location UID of its images (RAD-69), or ``None``.
        accession_authority: OID that makes its accession numbers unique, or ``None``.
        publish: whether what its PACS has is registered from here.
        change_feed: address at which its PACS (Orthanc) tells what changes, or ``None``.
        senders: systems that may feed it; empty for domains that nobody feeds over HL7 v2.
        notified_of: codes of the domains whose identifiers its notifications tell; empty for all.
        test_only: accepted outside production only (test and demonstration INS).
    """

    code: str
    name: str
    kind: DomainKind
    authority: AssigningAuthority
    finess: str | None = None
    cog: str | None = None
    facility_type: str | None = None
    pacs_url: str | None = None
    repository_unique_id: Oid | None = None
    imaging_source_id: Oid | None = None
    accession_authority: Oid | None = None
    publish: bool = False
    change_feed: str | None = None
    senders: tuple[Sender, ...] = ()
    notification: Notification | None = None
    notification_v3: SoapNotification | None = None
    notification_fhir: FhirNotification | None = None
    notified_of: tuple[str, ...] = ()
    test_only: bool = False

    @property
    def oid(self) -> Oid:
        """The OID of its authority."""
        assert self.authority.oid is not None  # the reader requires it
        return self.authority.oid

    @property
    def is_ins(self) -> bool:
        """Whether its identifiers are national health identities (INS)."""
        return self.kind is DomainKind.NATIONAL


class RegionTableError(ValueError):
    """The table of domains cannot be used.

    Args:
        problems: at least one sentence, each with line, domain and key.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class RegionTable:
    """The domains of the region in the order of the file.

    Attributes:
        name: of the region.
        home_community_id: OID of the region as an XCA community.
        registries: registries of others that are told of changed links.
        communities: other communities whose gateways are asked.
    """

    def __init__(
        self,
        name: str,
        home_community_id: Oid,
        domains: tuple[Domain, ...],
        registries: tuple[LinkRegistry, ...] = (),
        communities: tuple[Community, ...] = (),
    ) -> None:
        self.name = name
        self.home_community_id = home_community_id
        self.registries = registries
        self.communities = communities
        self._domains = domains
        self._by_code = {domain.code: domain for domain in domains}
        self._by_oid = {domain.oid: domain for domain in domains}
        # Test authorities share the namespace of the real one, which alone may be meant by a bare namespace.
        self._by_namespace = {domain.authority.namespace: domain for domain in domains if not domain.test_only}
        self._by_sender = {sender: domain for domain in domains for sender in domain.senders}

    def __iter__(self) -> Iterator[Domain]:
        return iter(self._domains)

    def __len__(self) -> int:
        return len(self._domains)

    def by_code(self, code: str) -> Domain:
        """The domain of that code.

        Raises:
            KeyError: there is none.
        """
        return self._by_code[code]

    def by_authority(self, authority: AssigningAuthority) -> Domain | None:
        """The domain of that authority, or ``None``. The OID decides where it is given, else the namespace."""
        if authority.oid is not None:
            return self._by_oid.get(authority.oid)
        return self._by_namespace.get(authority.namespace)

    def by_sender(self, application: str, facility: str) -> Domain | None:
        """The domain that a system with these MSH-3.1 and MSH-4.1 may feed, or ``None``."""
        return self._by_sender.get(Sender(application, facility))

    @property
    def establishments(self) -> tuple[Domain, ...]:
        """The care sites."""
        return tuple(domain for domain in self._domains if domain.kind is DomainKind.ESTABLISHMENT)

    @property
    def region(self) -> Domain:
        """The domain of regional identifiers; there is exactly one."""
        return next(domain for domain in self._domains if domain.kind is DomainKind.REGION)


def load_region(path: Path, *, production: bool = False) -> RegionTable:
    """Read the table of domains.

    Args:
        path: a ``region.toml``.
        production: leave out the domains marked ``test_only``, so that their identifiers are refused as unknown.

    Raises:
        RegionTableError: not readable, or wrong; with every problem found.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise RegionTableError([f"{path.name}: {error}"]) from error
    reader = _Reader(path.name, text)
    region = reader.region(document)
    domains = reader.domains(document)
    registries = reader.registries(document)
    communities = reader.communities(document)
    if reader.problems:
        raise RegionTableError(reader.problems)
    return RegionTable(
        region["name"],
        Oid(region["home_community_id"]),
        tuple(domain for domain in domains if not (production and domain.test_only)),
        registries,
        communities,
    )


_DOMAIN_KEYS: Mapping[str, type] = {
    "code": str,
    "name": str,
    "kind": str,
    "oid": str,
    "namespace": str,
    "finess": str,
    "cog": str,
    "facility_type": str,
    "pacs_url": str,
    "repository_unique_id": str,
    "imaging_source_id": str,
    "accession_authority": str,
    "publish": bool,
    "change_feed": str,
    "senders": list,
    "notification": dict,
    "notification_v3": dict,
    "notification_fhir": dict,
    "notified_of": list,
    "test_only": bool,
}
_REQUIRED = ("code", "name", "kind", "oid", "namespace")
_OIDS = ("oid", "repository_unique_id", "imaging_source_id", "accession_authority")
_PATTERNS = {
    "code": (re.compile(r"[A-Z][A-Z0-9-]{1,19}"), "2 to 20 capitals, digits or hyphens"),
    "finess": (re.compile(r"[0-9][0-9AB][0-9]{7}"), "nine digits (2A or 2B for Corsica)"),
    "cog": (re.compile(r"[0-9][0-9AB][0-9]{3}"), "five characters of the INSEE code"),
    "facility_type": (re.compile(r"SA[0-9]{2}"), "SA and two digits"),
}


class _Reader:
    """Turns the parsed file into domains and gathers what is wrong with it."""

    def __init__(self, file: str, text: str) -> None:
        self.problems: list[str] = []
        self._file = file
        self._lines = text.splitlines()
        self._starts = [n for n, line in enumerate(self._lines) if re.match(r"\s*\[\[\s*domain\s*\]\]", line)]

    def region(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        region = document.get("region")
        if not isinstance(region, dict) or not all(
            isinstance(region.get(key), str) for key in ("name", "home_community_id")
        ):
            self._add(0, "[region] needs name and home_community_id")
            return {}
        if not is_oid(region["home_community_id"]):
            self._add(0, "[region] home_community_id is not an OID")
        for key in document.keys() - {"region", "domain", "registry", "community", "node"}:
            self._add(0, f"unknown table {key}")
        return region

    def registries(self, document: Mapping[str, Any]) -> tuple[LinkRegistry, ...]:
        found: dict[str, LinkRegistry] = {}
        for row in _as_list(document.get("registry")):
            name = row.get("name") if isinstance(row, dict) else None
            if not isinstance(name, str) or not name or name in found:
                self._add(0, "[[registry]] needs a name of its own")
                continue
            given = {key: value for key, value in row.items() if key != "name"}
            try:
                found[name] = LinkRegistry(name, read_notification(given))
            except ValueError as problem:
                self._add(0, f"registry {name}: {problem}")
        return tuple(found.values())

    def communities(self, document: Mapping[str, Any]) -> tuple[Community, ...]:
        found: dict[str, Community] = {}
        for row in _as_list(document.get("community")):
            name = row.get("name") if isinstance(row, dict) else None
            if not isinstance(name, str) or not name:
                self._add(0, "[[community]] needs a name")
            elif (problem := community_problem(row)) is not None:
                self._add(0, f"community {name}: {problem}")
            elif row["home_community_id"] in (*found, (document.get("region") or {}).get("home_community_id")):
                self._add(0, f"community {name}: home_community_id is another's")
            else:
                found[row["home_community_id"]] = Community(
                    **{**row, "home_community_id": Oid(row["home_community_id"])}
                )
        return tuple(found.values())

    def domains(self, document: Mapping[str, Any]) -> list[Domain]:
        rows = document.get("domain")
        if not isinstance(rows, list) or not rows:
            self._add(0, "there is no [[domain]]")
            return []
        domains = [domain for index, row in enumerate(rows) if (domain := self._domain(index, row)) is not None]
        for key in ("code", *_OIDS):
            self._unique(rows, key, lambda row, key=key: [row.get(key)])
        self._unique(rows, "namespace", lambda row: [] if row.get("test_only") else [row.get("namespace")])
        self._unique(rows, "senders", lambda row: _as_list(row.get("senders")))
        codes = {row.get("code") for row in rows}
        for index, row in enumerate(rows):
            for code in _as_list(row.get("notified_of")):
                if not isinstance(code, str) or code not in codes:
                    self._say(index, row, "notified_of", "names a domain that is not there")
        if sum(row.get("kind") == DomainKind.REGION for row in rows) != 1:
            self._add(0, "exactly one [[domain]] must be of kind region")
        return domains

    def _domain(self, index: int, row: Mapping[str, Any]) -> Domain | None:
        before = len(self.problems)
        for key in row.keys() - _DOMAIN_KEYS.keys():
            self._say(index, row, key, "is not a known key")
        for key, kind in _DOMAIN_KEYS.items():
            if key in row and not isinstance(row[key], kind):
                self._say(index, row, key, f"must be a {kind.__name__}")
        for key in _REQUIRED:
            if not row.get(key):
                self._say(index, row, key, "is required")
        if len(self.problems) > before:
            return None
        if row["kind"] not in list(DomainKind):
            self._say(index, row, "kind", f"must be one of {', '.join(DomainKind)}")
        for key, (pattern, meaning) in _PATTERNS.items():
            if key in row and not pattern.fullmatch(row[key]):
                self._say(index, row, key, f"must be {meaning}")
        for key in _OIDS:
            if key in row and not is_oid(row[key]):
                self._say(index, row, key, "is not a dotted OID of at most 64 characters")
        for key in ("pacs_url", "change_feed"):
            if key in row and urlsplit(row[key]).scheme not in ("http", "https"):
                self._say(index, row, key, "must be an http or https address")
        senders = self._senders(index, row)
        notification = self._consumer(index, row, "notification", read_notification)
        notification_v3 = self._consumer(index, row, "notification_v3", read_soap_notification)
        notification_fhir = self._consumer(index, row, "notification_fhir", read_fhir_notification)
        if len(self.problems) > before:
            return None
        return Domain(
            code=row["code"],
            name=row["name"],
            kind=DomainKind(row["kind"]),
            authority=AssigningAuthority(row["namespace"], Oid(row["oid"])),
            finess=row.get("finess"),
            cog=row.get("cog"),
            facility_type=row.get("facility_type"),
            pacs_url=row["pacs_url"].rstrip("/") if "pacs_url" in row else None,
            repository_unique_id=_oid(row.get("repository_unique_id")),
            imaging_source_id=_oid(row.get("imaging_source_id")),
            accession_authority=_oid(row.get("accession_authority")),
            publish=row.get("publish", False),
            change_feed=row.get("change_feed"),
            senders=senders,
            notification=notification,
            notification_v3=notification_v3,
            notification_fhir=notification_fhir,
            notified_of=tuple(row.get("notified_of", ())),
            test_only=row.get("test_only", False),
        )

    def _senders(self, index: int, row: Mapping[str, Any]) -> tuple[Sender, ...]:
        senders = []
        for text in row.get("senders", []):
            if not isinstance(text, str) or text.count("|") != 1 or not all(text.split("|")):
                self._say(index, row, "senders", 'must each be written "MSH-3|MSH-4"')
                continue
            senders.append(Sender(*text.split("|")))
        return tuple(senders)

    def _consumer(self, index: int, row: Mapping[str, Any], key: str, read: Callable[[Any], _Told]) -> _Told | None:
        if key not in row:
            return None
        try:
            return read(row[key])
        except ValueError as problem:
            self._say(index, row, key, str(problem))
            return None

    def _unique(self, rows: list[Mapping[str, Any]], key: str, values: Any) -> None:
        seen: dict[str, str] = {}
        for index, row in enumerate(rows):
            for value in values(row):
                if isinstance(value, str) and value in seen:
                    self._say(index, row, key, f"is already used by {seen[value]}")
                elif isinstance(value, str):
                    seen[value] = str(row.get("code"))

    def _say(self, index: int, row: Mapping[str, Any], key: str, what: str) -> None:
        self._add(self._line(index, key), f"domain {row.get('code', f'number {index + 1}')}: {key} {what}")

    def _add(self, line: int, sentence: str) -> None:
        place = f"{self._file}:{line}" if line else self._file
        self.problems.append(f"{place}: {sentence}")

    def _line(self, index: int, key: str) -> int:
        """Line number, from 1, of a key of the domain with that index, else of the domain's header; 0 unknown."""
        if index >= len(self._starts):
            return 0
        start = self._starts[index]
        end = self._starts[index + 1] if index + 1 < len(self._starts) else len(self._lines)
        for number in range(start, end):
            if re.match(rf"\s*{re.escape(key)}\s*=", self._lines[number]):
                return number + 1
        return start + 1


def _oid(text: str | None) -> Oid | None:
    return None if text is None else Oid(text)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
