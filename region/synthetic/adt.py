"""ADT messages as the sites send them: PAM France 2.11, written here without the server's own code.

A message says all that its site knows of the patient, so that the last one decides.

Source: IHE PAM, French national extension 2.11; HL7 v2.5: 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ihe.values import escape_hl7
from mpi.domain.identity import IdentityStatus, Traits
from region.region_table import Domain
from region.synthetic.writing import Hand

_STRUCTURES: Final[Mapping[str, str]] = {
    "A28": "ADT_A05", "A31": "ADT_A05", "A40": "ADT_A39", "A47": "ADT_A30",
    "A01": "ADT_A01", "A02": "ADT_A02", "A03": "ADT_A03", "A04": "ADT_A01", "A05": "ADT_A05", "A11": "ADT_A09",
    "A13": "ADT_A01", "Z99": "ADT_A01",
}  # fmt: skip

IDENTITY_EVENTS: Final = frozenset({"A28", "A31", "A40", "A47"})

_WRITTEN_STATUS: Final = {IdentityStatus.QUAL: IdentityStatus.VALI, IdentityStatus.RECUP: IdentityStatus.PROV}
"""HL7 v2 has no code for identities retrieved from INSi: the INS beside the status tells them."""

_INS_NAMESPACES: Final[Mapping[str, str]] = {
    "1.2.250.1.213.1.4.8": "ASIP-SANTE-INS-NIR",
    "1.2.250.1.213.1.4.9": "ASIP-SANTE-INS-NIA",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to a patient's record at a site.

    Attributes:
        site: domain code.
        trigger: event code (MSH-9.2).
        at: when the message is sent (local time).
        occurred_at: when it happened (EVN-6); earlier than ``at`` for what is reported late.
        updated_at: when the identity was last changed (PID-33).
        local_id: number of the patient at the site, after the event.
        prior_local_id: number that disappears (A40, A47), else ``None``.
        traits: all that the site knows after the event.
        visit: visit number of a movement, else ``None``.
        opposed: whether the patient is opposed to the consultation of shared data.
    """

    site: str
    trigger: str
    at: datetime
    occurred_at: datetime
    updated_at: datetime
    local_id: str
    traits: Traits
    prior_local_id: str | None = None
    visit: str | None = None
    opposed: bool = False


def write_message(event: Event, hand: Hand, domain: Domain, control_id: str) -> bytes:
    """The event as its site sends it, in its charset, segments ended by CR.

    Args:
        control_id: MSH-10, unique for the sender, at most 20 characters.
    """
    stamp = _Stamp(hand.zoned)
    segments = [_msh(event, hand, domain, control_id, stamp)]
    segments.append(_segment("EVN", {2: stamp(event.at), 6: stamp(event.occurred_at)}))
    segments.append(_pid(event, domain, stamp))
    if event.prior_local_id is not None:
        segments.append(_segment("MRG", {1: _cx(event.prior_local_id, domain, "PI")}))
        return _encode(segments, hand)
    if event.trigger in IDENTITY_EVENTS:
        segments.append("PV1|1|N")
    else:
        segments += _movement(event, domain, stamp)
    segments += _complements(event, stamp)
    return _encode(segments, hand)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Writes times as the site does; the winter offset is France's."""

    zoned: bool

    def __call__(self, moment: datetime) -> str:
        return moment.strftime("%Y%m%d%H%M%S") + ("+0100" if self.zoned else "")


def _msh(event: Event, hand: Hand, domain: Domain, control_id: str, stamp: _Stamp) -> str:
    fields = {
        3: "GAM", 4: domain.code, 5: "TRAITDUNION", 6: "REGION", 7: stamp(event.at),
        9: f"ADT^{event.trigger}^{_STRUCTURES[event.trigger]}", 10: control_id, 11: "T",
        12: f"2.5^FRA^{hand.version}", 17: "FRA", 18: hand.charset, 19: "FR",
        21: f"{hand.version}^IHE_FRANCE-{hand.version}-PAM",
    }  # fmt: skip
    # MSH-1 is the separator itself, so the fields from MSH-3 stand one place further left.
    return "MSH|^~\\&|" + "|".join(fields.get(number, "") for number in range(3, 22))


def _pid(event: Event, domain: Domain, stamp: _Stamp) -> str:
    traits = event.traits
    identifiers = [_cx(event.local_id, domain, "PI")]
    if traits.ins and traits.ins_oid:
        identifiers.append(f"{traits.ins}^^^{_INS_NAMESPACES[traits.ins_oid]}&{traits.ins_oid}&ISO^INS")
    status = _WRITTEN_STATUS.get(traits.identity_status, traits.identity_status)
    died = traits.death_date is not None
    return _segment(
        "PID",
        {
            1: "1",
            3: "~".join(identifiers),
            5: _names(traits),
            6: f"{_e(traits.mother_family_name)}^^^^^^M" if traits.mother_family_name else "",
            7: traits.birth_date.hl7 if traits.birth_date and traits.birth_date.is_full else "",
            8: traits.sex.value if traits.sex else "",
            11: _addresses(traits),
            13: f"^PRN^PH^^^^^^^^^{traits.phone}" if traits.phone else "",
            18: f"{event.visit}^^^{_authority(domain)}^AN" if event.visit else "",
            24: "Y" if traits.multiple_birth else "",
            25: str(traits.birth_order) if traits.birth_order else "",
            29: traits.death_date.hl7 if traits.death_date else "",
            30: "Y" if died else "N",
            32: "~".join([status.value, *sorted(traits.identity_attributes)]),
            33: stamp(event.updated_at),
        },
    )


def _names(traits: Traits) -> str:
    birth = f"{_e(traits.birth_family_name)}^{_e(traits.first_birth_given_name)}"
    birth += f"^{_e(' '.join(traits.birth_given_names))}^^^^L"
    if not traits.used_family_name:
        return birth
    return f"{birth}~{_e(traits.used_family_name)}^{_e(traits.used_given_name)}^^^^^D"


def _addresses(traits: Traits) -> str:
    home = f"{_e(traits.address)}^^{_e(traits.city)}^^{_e(traits.postal_code)}^FRA^H" if traits.address else ""
    birth = f"^^^^^^BDL^^{traits.birth_place_code}" if traits.birth_place_code else ""
    return "~".join(filter(None, (home, birth)))


def _movement(event: Event, domain: Domain, stamp: _Stamp) -> list[str]:
    patient_class = "O" if event.trigger in ("A04", "A05") else "I"
    visit = f"{event.visit}^^^{_authority(domain)}^VN"
    cancelled = event.trigger in ("A11", "A13")
    correction = event.trigger == "Z99"
    return [
        _segment("PV1", {1: "1", 2: patient_class, 3: f"^^^{_authority(domain)}", 19: visit, 51: "V"}),
        _segment(
            "ZBE",
            {
                1: f"{event.visit}M^{domain.code}^{domain.oid}^ISO",
                2: stamp(event.occurred_at),
                4: "CANCEL" if cancelled else "UPDATE" if correction else "INSERT",
                5: "Y" if event.at - event.occurred_at > timedelta(days=1) else "N",
                6: "A01" if correction else "",
                7: f"Imagerie^^^^^{_authority(domain)}^UF^^^2510",
                9: "HMS",
            },
        ),
    ]


def _complements(event: Event, stamp: _Stamp) -> list[str]:
    traits = event.traits
    segments = []
    if event.opposed:
        segments.append(_segment("ZFA", {1: "ACTIF", 9: "INO", 10: stamp(event.at), 11: "INC", 12: stamp(event.at)}))
    year_only = traits.birth_date is not None and not traits.birth_date.is_full
    segments.append(
        _segment(
            "ZFD",
            {
                1: f"0^0^{traits.birth_date.year}" if year_only and traits.birth_date else "",
                4: "Y" if traits.birth_date_interpreted else "",
                5: "INSI" if traits.has_qualified_ins else "SM",
                6: event.updated_at.strftime("%Y%m%d") if traits.has_qualified_ins else "",
                7: "CN" if traits.identity_status.is_validated else "",
            },
        )
    )
    return segments


def _cx(value: str, domain: Domain, type_code: str) -> str:
    return f"{_e(value)}^^^{_authority(domain)}^{type_code}"


def _authority(domain: Domain) -> str:
    return f"{domain.authority.namespace}&{domain.oid}&ISO"


def _segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment with its fields by number; empty ones behind the last are left out."""
    last = max((number for number, value in fields.items() if value), default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def _e(text: str | None) -> str:
    return escape_hl7(text) if text else ""


def _encode(segments: list[str], hand: Hand) -> bytes:
    return "".join(segment + "\r" for segment in segments).encode(hand.codec)
