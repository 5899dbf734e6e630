"""Authors, recipients and source patients: HL7 v2 notation ⇄ contained FHIR resources.

Source: MHD 4.2 (ITI TF-3: 4.5.1.1); ITI TF-3: Table 4.2.3.1.7-2 (XCN, XON, XTN).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ihe.values import PatientId, escape_hl7, unescape_hl7
from xds.domain.model import Author
from xds.translate.fhir_terms import Json, code_of, patient_identifier, scheme_of, system_of

_GENDERS: Final = {"M": "male", "F": "female", "O": "other", "A": "other", "U": "unknown"}
_TELECOM: Final = {"PH": "phone", "CP": "phone", "FX": "fax", "Internet": "email", "X.400": "email", "BP": "pager"}
Resolve = Callable[[Mapping[str, Any]], Json | None]
"""The resource that a Reference means, contained or in the same Bundle; ``None`` when it is elsewhere."""


class Contained:
    """Collects the contained resources of one resource."""

    def __init__(self) -> None:
        self.resources: list[Json] = []

    def add(self, kind: str, name: str, content: Json) -> Json:
        """Contain a resource and return a Reference to it."""
        identifier = f"{name}-{len(self.resources) + 1}"
        self.resources.append({"resourceType": kind, "id": identifier, **content})
        return {"reference": f"#{identifier}"}

    def author(self, author: Author) -> Json | None:
        """One author as Practitioner, Organization, or a PractitionerRole that joins them."""
        person = self.person(author.person, author.telecommunications) if author.person else None
        organizations = [self.organization(each) for each in author.institutions]
        if not person and not author.telecommunications and len(organizations) == 1 and not _has_role(author):
            return organizations[0]
        if person and not organizations and not _has_role(author):
            return person
        role: Json = {}
        if person:
            role["practitioner"] = person
        if organizations:
            role["organization"] = organizations[0]
        if author.roles:
            role["code"] = [_concept(each) for each in author.roles]
        if author.specialties:
            role["specialty"] = [_concept(each) for each in author.specialties]
        if not person and author.telecommunications:
            role["telecom"] = [_telecom(each) for each in author.telecommunications]
        return self.add("PractitionerRole", "role", role) if role else None

    def person(self, xcn: str, telecommunications: Sequence[str] = ()) -> Json:
        """An XCN as Practitioner."""
        content: Json = {}
        parts = _parts(xcn, 10)
        if parts[0]:
            content["identifier"] = [_identifier(parts[0], parts[8])]
        given = [part for part in (parts[2], parts[3]) if part]
        name = {
            "family": parts[1],
            "given": given,
            "prefix": [part for part in (parts[5],) if part],
            "suffix": [part for part in (parts[4], parts[6]) if part],
        }
        name = {key: value for key, value in name.items() if value}
        if name:
            content["name"] = [name]
        if telecommunications:
            content["telecom"] = [_telecom(each) for each in telecommunications]
        return self.add("Practitioner", "author", content)

    def organization(self, xon: str) -> Json:
        """An XON as Organization."""
        parts = _parts(xon, 10)
        content: Json = {}
        if parts[9]:
            content["identifier"] = [_identifier(parts[9], parts[5])]
        elif parts[2]:
            content["identifier"] = [_identifier(parts[2], parts[5])]
        if parts[0]:
            content["name"] = parts[0]
        return self.add("Organization", "organization", content)

    def source_patient(self, patient_id: PatientId | None, lines: Sequence[str]) -> Json | None:
        """sourcePatientId and sourcePatientInfo as Patient."""
        content: Json = {}
        if patient_id is not None:
            content["identifier"] = [patient_identifier(patient_id)]
        values = {name: value for line in lines for name, _, value in [line.partition("|")] if value}
        parts = _parts(values.get("PID-5", ""), 4)
        name = {"family": parts[0], "given": [part for part in (parts[1], parts[2]) if part]}
        name = {key: value for key, value in name.items() if value}
        if name:
            content["name"] = [name]
        if values.get("PID-8") in _GENDERS:
            content["gender"] = _GENDERS[values["PID-8"]]
        born = values.get("PID-7", "")[:8]
        if born.isdigit() and len(born) in (4, 6, 8):
            content["birthDate"] = "-".join(part for part in (born[:4], born[4:6], born[6:8]) if part)
        return self.add("Patient", "source-patient", content) if content else None

    def recipient(self, text: str) -> Json:
        """One intendedRecipient ``XON|XCN|XTN`` as Organization, Practitioner or both in a PractitionerRole."""
        organization, person, telecom = [*text.split("|"), "", ""][:3]
        author = Author(
            person=person or None,
            institutions=(organization,) if organization else (),
            telecommunications=(telecom,) if telecom else (),
        )
        return self.author(author) or {"display": text}


def author_of(reference: Mapping[str, Any], resolve: Resolve) -> Author | None:
    """The author that a Reference means; ``None`` when nothing is known of it but an address elsewhere."""
    resource = resolve(reference)
    if resource is None:
        if reference.get("identifier"):
            return Author(person=_xcn({"identifier": [reference["identifier"]], "text": reference.get("display")}))
        return Author(person=_xcn({"text": reference["display"]})) if reference.get("display") else None
    kind = resource["resourceType"]
    if kind == "Organization":
        return Author(institutions=(_xon(resource),), telecommunications=_xtns(resource))
    if kind == "PractitionerRole":
        person = resolve(resource.get("practitioner", {}))
        organization = resolve(resource.get("organization", {}))
        owner = person if person is not None else _identified(resource)
        return Author(
            person=_xcn(owner) if owner else None,
            institutions=(_xon(organization),) if organization else (),
            roles=tuple(filter(None, map(_role, resource.get("code", ())))),
            specialties=tuple(filter(None, map(_role, resource.get("specialty", ())))),
            telecommunications=_xtns(person or resource),
        )
    if kind == "Device":
        names = [each.get("name") for each in resource.get("deviceName", ())]
        return Author(person=_xcn({**resource, "text": names[0] if names else None, "name": []}))
    return Author(person=_xcn(resource), telecommunications=_xtns(resource))


def person_of(reference: Mapping[str, Any], resolve: Resolve) -> str | None:
    """The XCN of whom a Reference means, or ``None``; an organisation stands in the place of the family name."""
    author = author_of(reference, resolve)
    if author is None:
        return None
    return author.person or (f"^{_parts_raw(author.institutions[0])}" if author.institutions else None)


def recipient_of(reference: Mapping[str, Any], resolve: Resolve) -> str | None:
    """The ``XON|XCN|XTN`` of an intended recipient, or ``None``."""
    author = author_of(reference, resolve)
    if author is None:
        return None
    organization = author.institutions[0] if author.institutions else ""
    telecom = author.telecommunications[0] if author.telecommunications else ""
    return "|".join((organization, author.person or "", telecom)).rstrip("|") or None


def source_patient_info(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """sourcePatientInfo of a Patient."""
    lines = []
    names: Sequence[Mapping[str, Any]] = resource.get("name", ())
    if names:
        given = " ".join(names[0].get("given", ()))
        lines.append(f"PID-5|{_text(names[0].get('family'))}^{_text(given)}".rstrip("^"))
    if resource.get("birthDate"):
        lines.append(f"PID-7|{resource['birthDate'].replace('-', '')}")
    sex = {"male": "M", "female": "F", "other": "O", "unknown": "U"}.get(resource.get("gender", ""))
    if sex:
        lines.append(f"PID-8|{sex}")
    return tuple(lines)


def _has_role(author: Author) -> bool:
    return bool(author.roles or author.specialties)


def _parts(text: str, count: int) -> list[str]:
    parts = [part if "&" in part else unescape_hl7(part) for part in text.split("^")]
    return [*parts, *[""] * count][: max(count, len(parts))]


def _parts_raw(xon: str) -> str:
    return xon.partition("^")[0]


def _identifier(value: str, authority: str) -> Json:
    oid = authority.split("&")[1] if authority.count("&") >= 1 else ""
    return {"system": f"urn:oid:{oid}", "value": value} if oid else {"value": value}


def _concept(text: str) -> Json:
    parts = text.split("^")
    if len(parts) >= 3 and parts[0] and parts[2]:
        scheme = parts[2].split("&")[1] if parts[2].count("&") >= 1 else parts[2]
        found = {"system": system_of(scheme), "code": parts[0]}
        if parts[1]:
            found["display"] = parts[1]
        return {"coding": [found]}
    return {"text": unescape_hl7(text)}


def _role(item: Mapping[str, Any]) -> str | None:
    code = code_of(item)
    if code is None:
        return item.get("text")
    return f"{code.code}^{escape_hl7(code.display or '')}^{scheme_of(code.scheme)}"


def _telecom(xtn: str) -> Json:
    parts = _parts(xtn, 12)
    system = _TELECOM.get(parts[2], "email" if parts[3] else "phone")
    value = parts[3] if system == "email" else parts[11] or parts[0] or "".join(parts[4:8])
    return {"system": system, "value": value or xtn}


def _xtns(resource: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    for item in resource.get("telecom", ()):
        value = _text(item.get("value"))
        if "@" in value or item.get("system") == "email":
            found.append(f"^^Internet^{value}")
        elif value:
            found.append(f"^^{'FX' if item.get('system') == 'fax' else 'PH'}^^^^^^^^^{value}")
    return tuple(found)


def _xcn(resource: Mapping[str, Any]) -> str:
    identifiers: Sequence[Mapping[str, Any]] = resource.get("identifier", ())
    best = next((i for i in identifiers if str(i.get("system", "")).startswith("urn:oid:")), None)
    best = best or next(iter(identifiers), {})
    names: Sequence[Mapping[str, Any]] = resource.get("name", ())
    name = names[0] if names else {}
    given = [*name.get("given", ()), "", ""]
    family = name.get("family") or (None if name.get("given") else name.get("text")) or resource.get("text")
    parts = [
        _text(best.get("value")),
        _text(family if isinstance(family, str) else None),
        _text(given[0]),
        _text(" ".join(part for part in given[1:] if part)),
        _text(" ".join(name.get("suffix", ()))),
        _text(" ".join(name.get("prefix", ()))),
        "",
        "",
        _authority(best) if best.get("value") else "",
    ]
    return "^".join(parts).rstrip("^")


def _xon(resource: Mapping[str, Any]) -> str:
    identifiers: Sequence[Mapping[str, Any]] = resource.get("identifier", ())
    best = next((i for i in identifiers if str(i.get("system", "")).startswith("urn:oid:")), {})
    parts = [_text(resource.get("name")), "", "", "", ""]
    if best.get("value"):
        parts += [_authority(best), "", "", "", _text(best["value"])]
    return "^".join(parts).rstrip("^")


def _identified(resource: Mapping[str, Any]) -> Json | None:
    return {"identifier": resource["identifier"]} if resource.get("identifier") else None


def _authority(identifier: Mapping[str, Any]) -> str:
    system = str(identifier.get("system", ""))
    return f"&{system.removeprefix('urn:oid:')}&ISO" if system.startswith("urn:oid:") else ""


def _text(value: Any) -> str:
    return escape_hl7(str(value)) if value else ""
