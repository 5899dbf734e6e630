"""What trust costs: TLS with certificates, users and audit, beside the same questions in the clear of the same run.

``python -m bench.trust --studies 20000`` fills the registry, serves it in turns in the clear and with mutual TLS, and
asks the same of both: PIX over HL7 v2, FindDocuments over SOAP, prior studies over HTTP. With TLS, FindDocuments
carries a signed assertion and the priors a signed token, each of one of some users, as viewers keep them for a session.
Audit events are written in both. The bar is on the 99th percentile; the processor time of the service for each request
stands beside it, which other load on the machine moves less. All data are synthetic.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from os import cpu_count
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, SignatureMethod
from signxml.signer import XMLSigner

from bench.imaging import fill, load_people
from bench.load import Connection, Measured, at_rate, measure
from bench.queries import post
from bench.service import Running, find_documents, serving
from region.embedded_postgres import EmbeddedPostgres
from region.migrations import upgrade
from region.pki import DemonstrationAuthority
from region.region_table import RegionTable, load_region
from region.settings import Settings

BAR: Final = 1.6
"""At most so many times the 99th percentile in the clear."""
_SITE: Final = "ROANNE"
_HOST: Final = "127.0.0.1"
_AUDIENCE: Final = "https://bench.example/region"
_ISSUER: Final = "https://bench.example/issuer"
_WARMING: Final = "warming"
_SHOWN: Final = ("per_second", "p99_ms", "processor_ms")
_USERS: Final = 16
_PATIENTS: Final = 80
_PROFESSION: Final = "1.2.250.1.71.1.2.7"


class Issuer:
    """Vouches for the users of the benchmark."""

    def __init__(self, folder: Path) -> None:
        authority = DemonstrationAuthority.create(folder)
        authority.issue_server(_HOST)
        authority.issue_client(_SITE)
        self.folder = folder
        authority.issue_client("issuer")
        self._pem = (folder / "issuer.key").read_bytes()
        self._key = ECKey.import_key(self._pem, {"kid": "bench"})
        (folder / "keys.json").write_text(json.dumps(KeySet([self._key]).as_dict(private=False)))
        (folder / "issuers.toml").write_text(
            f'[[saml]]\nissuer = "{_ISSUER}"\ncertificates = ["issuer.pem"]\n\n'
            f'[[oauth]]\nissuer = "{_ISSUER}/tokens"\nkeys = "keys.json"\n'
        )

    @property
    def settings(self) -> dict[str, str]:
        """Those of a service with TLS that believes this issuer."""
        files = {
            "CERTIFICATE": "server.pem",
            "KEY": "server.key",
            "AUTHORITIES": "authority.pem",
            "REVOKED": "revoked.pem",
        }
        return {
            **{f"TRAITDUNION_TLS_{name}": str(self.folder / file) for name, file in files.items()},
            "TRAITDUNION_ISSUERS_TABLE": str(self.folder / "issuers.toml"),
            "TRAITDUNION_AUDIENCES": _AUDIENCE,
        }

    @property
    def tls(self) -> ssl.SSLContext:
        """What the site connects with."""
        context = ssl.create_default_context(cafile=str(self.folder / "authority.pem"))
        context.load_cert_chain(self.folder / f"{_SITE}.pem", self.folder / f"{_SITE}.key")
        return context

    def token(self, user: int) -> str:
        """A bearer token."""
        now = int(time.time())
        role = {"system": f"urn:oid:{_PROFESSION}", "code": "10"}
        content = {
            "iss": f"{_ISSUER}/tokens",
            "aud": _AUDIENCE,
            "sub": f"user{user}",
            "iat": now,
            "exp": now + 3600,
            "scope": "TDU-4",
            "extensions": {"ihe_iua": {"subject_role": [role]}},
        }
        return jwt.encode({"alg": "ES256", "kid": "bench"}, content, self._key)

    def assertion(self, user: int) -> str:
        """A security header with a signed assertion."""
        now = datetime.now(UTC)
        begins, ends = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (now, now + timedelta(hours=1)))
        element = etree.fromstring(
            f'<s:Assertion xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion" Version="2.0" ID="_u{user}"'
            f' IssueInstant="{begins}"><s:Issuer>{_ISSUER}</s:Issuer>'
            '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"/>'
            f"<s:Subject><s:NameID>user{user}</s:NameID>"
            '<s:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/></s:Subject>'
            f'<s:Conditions NotBefore="{begins}" NotOnOrAfter="{ends}"><s:AudienceRestriction>'
            f"<s:Audience>{_AUDIENCE}</s:Audience></s:AudienceRestriction></s:Conditions>"
            f'<s:AuthnStatement AuthnInstant="{begins}"><s:AuthnContext><s:AuthnContextClassRef>'
            "urn:oasis:names:tc:SAML:2.0:ac:classes:TLSClient</s:AuthnContextClassRef></s:AuthnContext>"
            '</s:AuthnStatement><s:AttributeStatement><s:Attribute Name="urn:oasis:names:tc:xacml:2.0:subject:role">'
            f'<s:AttributeValue><Role xmlns="urn:hl7-org:v3" code="10" codeSystem="{_PROFESSION}"/>'
            "</s:AttributeValue></s:Attribute></s:AttributeStatement></s:Assertion>"
        )
        signed = XMLSigner(
            signature_algorithm=SignatureMethod.ECDSA_SHA256,
            c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        ).sign(
            element,
            key=self._pem,
            cert=(self.folder / "issuer.pem").read_text(),
            reference_uri=f"#_u{user}",
            id_attribute="ID",
        )
        header = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
        return f'<w:Security xmlns:w="{header}">{etree.tostring(signed).decode()}</w:Security>'


@dataclass(frozen=True, slots=True)
class Seen:
    """A load, and what it took of the processors.

    Attributes:
        processor_ms: of the service's processes, for each request.
    """

    load: Measured
    processor_ms: float


def processor_seconds(pid: int) -> float:
    """Processor time that a process and those below it have used; ended ones are not counted."""
    total, waiting = 0, [pid]
    while waiting:
        each = Path("/proc") / str(waiting.pop())
        with suppress(OSError):
            fields = (each / "stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
            waiting += [int(child) for child in (each / "task" / each.name / "children").read_text().split()]
    return total / os.sysconf("SC_CLK_TCK")


def run(studies: int, seconds: float, rounds: int, workers: int, rate: float) -> dict[str, Any]:
    """Fill and measure in turns; JSON values."""
    folder = Path(tempfile.mkdtemp(prefix="bench-trust-"))
    folder.chmod(0o755)
    try:
        table = load_region(Settings().region_table)
        issuer = Issuer(folder / "certificates")
        with EmbeddedPostgres(folder / "data" / "postgres") as server:
            url = server.url(server.ensure_database("traitdunion"))
            upgrade(url)
            fill(url, table, studies)
        load_people(folder)
        ways = {"in the clear": ({}, None), "with trust": (issuer.settings, issuer.tls)}
        found: dict[str, dict[str, list[Seen]]] = {}
        for turn in range(rounds):
            for way, (settings, tls) in ways.items():
                with serving(folder, workers, settings, tls) as running:
                    before = processor_seconds(running.pid)
                    for name, load in _loads(running, table, issuer if tls else None, seconds, rate):
                        after = processor_seconds(running.pid)
                        seen = Seen(load, round((after - before) / max(1, load.requests) * 1000, 3))
                        before = processor_seconds(running.pid)
                        if name.startswith(_WARMING):
                            continue
                        found.setdefault(name, {}).setdefault(way, []).append(seen)
                        _say(f"{turn + 1}: {name}, {way}: p99 {load.p99_ms} ms, {load.failures} failures")
        return {"studies": studies, "rounds": rounds, "loads": {name: _summary(each) for name, each in found.items()}}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _loads(
    running: Running, table: RegionTable, issuer: Issuer | None, seconds: float, rate: float
) -> Iterator[tuple[str, Measured]]:
    """The same questions either way; with an issuer, each in the name of a user where its wire has users."""
    oid = table.by_code(_SITE).oid
    assertions = [issuer.assertion(user) if issuer else "" for user in range(_USERS)]
    tokens = [f"Authorization: Bearer {issuer.token(user)}\r\n" if issuer else "" for user in range(_USERS)]
    patients = [number for number in range(_PATIENTS) if number % 20]  # the others have no studies
    finds = [find_documents(f"F{each}^^^&{oid}&ISO", assertions[each % _USERS]) for each in patients]
    asked: dict[str, tuple[Callable[[], Connection], list[bytes], bytes]] = {
        "PIX query v2": (running.mllp, [_pix(oid, f"F{each}", each) for each in patients], b"MSA|AA"),
        "FindDocuments": (
            running.http,
            [post("/ihe/registry", "application/soap+xml; charset=UTF-8", body) for body in finds],
            b"Success",
        ),
        "priors": (
            running.http,
            [
                f"GET /priors?patient={_SITE}%7CF{each}&modality=CT HTTP/1.1\r\nHost: bench\r\n"
                f"{tokens[each % _USERS]}\r\n".encode()
                for each in patients
            ],
            b"2.25.8.",
        ),
    }
    for name, (connect, requests, expected) in asked.items():
        yield _WARMING, measure(connect, requests, expected, connections=8, seconds=min(1.0, seconds))
        for connections in (1, 8):
            load = measure(connect, requests, expected, connections=connections, seconds=seconds)
            yield f"{name}, {connections} connections", load
        load = at_rate(connect, requests, expected, connections=16, per_second=rate, seconds=max(4.0, seconds))
        yield f"{name}, 16 connections at {rate:g}/s", load


def _pix(oid: object, value: str, number: int) -> bytes:
    return (
        f"MSH|^~\\&|DPI|{_SITE}|IPR|R|20260101||QBP^Q23^QBP_Q21|{number}|P|2.5\r"
        f"QPD|IHE PIX Query|{number}|{value}^^^&{oid}&ISO\rRCP|I\r"
    ).encode()


def _summary(ways: dict[str, list[Seen]]) -> dict[str, Any]:
    """Of some rounds: medians, which one disturbed round does not move, and trust beside the clear."""
    measures: dict[str, Callable[[Seen], float]] = {
        "per_second": lambda seen: seen.load.per_second,
        "p99_ms": lambda seen: seen.load.p99_ms,
        "processor_ms": lambda seen: seen.processor_ms,
    }
    found: dict[str, Any] = {
        name: {way: statistics.median(of(each) for each in rounds) for way, rounds in ways.items()}
        for name, of in measures.items()
    }
    for name in ("p99_ms", "processor_ms"):
        clear, trust = found[name].values()
        found[f"{name} ratio"] = round(trust / clear, 2) if clear else None
    found["failures"] = sum(each.load.failures for rounds in ways.values() for each in rounds)
    found["rounds"] = {way: [asdict(each) for each in rounds] for way, rounds in ways.items()}
    return found


def table(found: dict[str, Any]) -> str:
    """The figures as a readable table."""
    lines = [
        f"\n{found['studies']:,} studies, medians of {found['rounds']} rounds; clear, trust and their ratio",
        f"{'':38}{'per second':>20}{'p99 ms':>20}{'ratio':>7}{'processor ms':>20}{'ratio':>7}{'bad':>5}",
    ]
    for name, each in found["loads"].items():
        shown = [f"{clear:>11,.2f}{trust:>9,.2f}" for clear, trust in (each[key].values() for key in _SHOWN)]
        held = "holds" if each["p99_ms ratio"] is not None and each["p99_ms ratio"] <= BAR else "does not hold"
        lines.append(
            f"{name:38}{shown[0]}{shown[1]}{each['p99_ms ratio'] or '':>7}{shown[2]}"
            f"{each['processor_ms ratio'] or '':>7}{each['failures']:>5}  p99 <= {BAR} times: {held}"
        )
    return "\n".join(lines)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.trust", description=__doc__)
    parser.add_argument("--studies", type=int, default=100_000, help="studies in the registry")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each load")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each way")
    parser.add_argument("--workers", type=int, default=cpu_count(), help="processes of the service")
    parser.add_argument("--rate", type=float, default=150.0, help="questions a second of the open loop")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    chosen = parser.parse_args()
    measured = run(chosen.studies, chosen.seconds, chosen.rounds, chosen.workers, chosen.rate)
    print(table(measured))
    if chosen.output is not None:
        chosen.output.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
