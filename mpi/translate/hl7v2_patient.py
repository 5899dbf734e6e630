"""PID (and MRG, ZFD) ⇄ identity traits and identifiers.

Reads both the French dialect (PAM France: PID-5 types L and D with the complete list of given names in PID-5.3,
birthplace in a PID-11 of type BDL, reliability in PID-32, ZFD) and plain IHE messages of versions 2.3.1 and 2.5.

Source: HL7 v2.5: 3.4.2, 3.4.9; PAM France 2.11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from ihe.errors import InvalidElement, MissingElement
from ihe.hl7v2.building import SegmentBuilder
from ihe.hl7v2.delimiters import STANDARD
from ihe.hl7v2.er7 import NULL, Field, Message, Repetition, Segment
from ihe.values import AssigningAuthority, Oid, PartialDate, PatientId, parse_dtm
from mpi.domain.identity import IdentityStatus, Sex, Traits
from mpi.domain.search import fold

INS_NAMESPACES: Final = {
    "ASIP-SANTE-INS-NIR": Oid("1.2.250.1.213.1.4.8"),
    "ASIP-SANTE-INS-NIA": Oid("1.2.250.1.213.1.4.9"),
}
_INS_AUTHORITIES: Final = frozenset(f"1.2.250.1.213.1.4.{arc}" for arc in (8, 9, 10, 11))
_LONGEST_IDENTIFIER: Final = 255
_BIRTH_NAME_TYPES: Final = ("B", "M")
_SEXES: Final = {"M": Sex.MALE, "F": Sex.FEMALE, "U": Sex.UNKNOWN, "O": Sex.OTHER, "I": Sex.OTHER, "A": Sex.OTHER}
_STATUSES: Final = frozenset(IdentityStatus)
_NO_NAME: Final = Field(" ~^^^^^^S", STANDARD, "utf-8")
"""ITI-9 demands PID-5 and has nothing to say in it: a blank name, then one of type S."""


def patient_ids(field: Field, location: str) -> list[PatientId]:
    """The identifiers of a CX field, in order; repetitions without an assigning authority are left out.

    Args:
        location: of the field, for errors (``PID-3``).

    Raises:
        InvalidElement: an identifier or its authority is malformed.
    """
    found = []
    for number, repetition in enumerate(field.repetitions, 1):
        value = repetition.text(1).strip()
        if not value or value == NULL:
            continue
        authority = authority_of(repetition, f"{location}[{number}].4")
        if authority is not None:
            if len(value) > _LONGEST_IDENTIFIER or not value.isprintable():
                raise InvalidElement("an identifier is no line of printable text", f"{location}[{number}].1")
            found.append(PatientId(value, authority, repetition.text(5) or None))
    return found


def authority_of(repetition: Repetition, location: str) -> AssigningAuthority | None:
    """The assigning authority of a CX (its fourth component), or ``None`` when it names none.

    Raises:
        InvalidElement: a universal id of type ISO is not an OID.
    """
    try:
        return _authority(*repetition.component(4).subcomponents[:3])
    except ValueError as error:
        raise InvalidElement("the universal id of the assigning authority is not an OID", location) from error


@lru_cache(maxsize=256)
def _authority(namespace: str, universal_id: str = "", kind: str = "") -> AssigningAuthority | None:
    """An authority from the parts of its HD, read once: there are few, and every message names them.

    Raises:
        ValueError: a universal id of type ISO is not an OID.
    """
    namespace, universal_id, kind = namespace.strip(), universal_id.strip(), kind.strip()
    oid = None
    if universal_id and kind in ("ISO", ""):
        try:
            oid = Oid(universal_id)
        except ValueError:
            if kind == "ISO":
                raise
    if oid is None and namespace in INS_NAMESPACES:
        oid = INS_NAMESPACES[namespace]
    if not namespace and oid is None:
        return None
    return AssigningAuthority(namespace or None, oid)


def is_ins(patient_id: PatientId) -> bool:
    """Whether an identifier is a national health identity (INS)."""
    return patient_id.authority.oid in _INS_AUTHORITIES or patient_id.type_code == "INS"


def traits(message: Message, pid: Segment) -> Traits:
    """What a PID (with the message's ZFD) says of the patient.

    Raises:
        InvalidElement: a date, sex or rank is not of its kind; the location names the field.
    """
    birth, used = _names(pid.field(5))
    birth_date, interpreted = _birth_date(message, pid)
    home = _first(pid.field(11), lambda r: r.text(7) not in ("BDL", "N", "BR"))
    birth_place = _first(pid.field(11), lambda r: r.text(7) == "BDL")
    ins = next((i for i in patient_ids(pid.field(3), "PID-3") if is_ins(i) and i.authority.oid is not None), None)
    status, attributes = _reliability(pid.field(32), has_ins=ins is not None)
    mother = _first(pid.field(6), lambda r: True)
    return Traits(
        birth_family_name=_text(birth, 1),
        birth_given_names=_given_names(birth),
        first_birth_given_name=_text(birth, 2),
        used_family_name=_text(used, 1),
        used_given_name=_text(used, 2),
        sex=_sex(pid.text(8)),
        birth_date=birth_date,
        birth_date_interpreted=interpreted,
        birth_place_code=_text(birth_place, 9),
        address=_text(home, 1),
        postal_code=_text(home, 5),
        city=_text(home, 3),
        phone=_phone(pid.field(13)) or _phone(pid.field(14)),
        email=_email(pid.field(13)),
        ins=ins.value if ins else None,
        ins_oid=str(ins.authority.oid) if ins else None,
        identity_status=status,
        identity_attributes=attributes,
        mother_family_name=_text(mother, 1),
        multiple_birth={"Y": True, "N": False}.get(pid.text(24)),
        birth_order=_number(pid.text(25), "PID-25"),
        death_date=_date(pid.text(29), "PID-29"),
    )


def source_updated_at(message: Message, pid: Segment) -> datetime | None:
    """When the source last changed the patient: PID-33, else when the event occurred (EVN-6) or was recorded
    (EVN-2); ``None`` when none of these is a readable time.
    """
    evn = message.segment("EVN")
    stated = [pid.text(33), *((evn.text(6), evn.text(2)) if evn else ())]
    for text in stated:
        if text and text != NULL:
            try:
                return parse_dtm(text)
            except ValueError:
                continue
    return None


def required_pid(message: Message) -> Segment:
    """The PID of a message.

    Raises:
        MissingElement: there is none.
    """
    pid = message.segment("PID")
    if pid is None:
        raise MissingElement("the message has no PID segment", "PID")
    return pid


def _first(field: Field, wanted: Callable[[Repetition], bool]) -> Repetition | None:
    return next((r for r in field.repetitions if r and wanted(r)), None)


def _text(repetition: Repetition | None, component: int) -> str | None:
    value = repetition.text(component).strip() if repetition else ""
    return value if value and value != NULL else None


def _names(field: Field) -> tuple[Repetition | None, Repetition | None]:
    """Birth name and used name.

    In the French dialect type L is the birth name and D the used one. Elsewhere a name marked as name at birth (B) or
    maiden name (M) is the birth name, and the legal one (L) then is the used one.
    """
    named: dict[str, Repetition] = {}
    for repetition in field.repetitions:
        if _text(repetition, 1) or _text(repetition, 2):
            named.setdefault(repetition.text(7) or "L", repetition)
    at_birth = next((named[t] for t in _BIRTH_NAME_TYPES if t in named), None)
    legal, displayed = named.get("L"), named.get("D")
    if at_birth is not None:
        return at_birth, displayed or legal
    return legal or next((r for t, r in named.items() if t not in ("S", "D")), None), displayed


def _given_names(birth: Repetition | None) -> tuple[str, ...]:
    """All given names in order: PID-5.3 holds the complete list (French dialect) or only the further ones."""
    first, rest = _text(birth, 2) or "", _text(birth, 3) or ""
    listed = rest if fold(rest).startswith(fold(first)) else f"{first} {rest}"
    return tuple((listed if rest else first).split())


def _birth_date(message: Message, pid: Segment) -> tuple[PartialDate | None, bool]:
    zfd = message.segment("ZFD")
    interpreted = zfd is not None and zfd.text(4) == "Y"
    stated = _date(pid.text(7), "PID-7")
    if stated is not None or zfd is None:
        return stated, interpreted
    # A lunar date names no day or month of our calendar; only its year tells something.
    year = zfd.text(1, 3)
    lunar = PartialDate(int(year)) if year.isascii() and year.isdigit() and len(year) == 4 and int(year) else None
    return lunar, interpreted or lunar is not None


def _date(text: str, location: str) -> PartialDate | None:
    if not text or text == NULL:
        return None
    try:
        return PartialDate.parse(text)
    except ValueError as error:
        raise InvalidElement(f"{location} is not a date: {error}", location) from error


def _sex(text: str) -> Sex | None:
    if not text or text == NULL:
        return None
    if text not in _SEXES:
        raise InvalidElement("PID-8 is none of M, F, U, O", "PID-8")
    return _SEXES[text]


def _number(text: str, location: str) -> int | None:
    if not text or text == NULL:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 2):
        raise InvalidElement(f"{location} is not a number", location)
    return int(text) or None


def _reliability(field: Field, *, has_ins: bool) -> tuple[IdentityStatus, frozenset[str]]:
    """Status and attributes of PID-32. HL7 v2 says VALI for "qualified" and PROV for "retrieved" when an INS is given.

    Source: PAM France 2.11, PID-32.
    """
    codes = [code for r in field.repetitions if (code := r.text(1).strip().upper()) and code != NULL]
    status = next((IdentityStatus(code) for code in codes if code in _STATUSES), IdentityStatus.VIDE)
    attributes = frozenset(code for code in codes if code not in _STATUSES)
    if has_ins and status is IdentityStatus.VALI:
        status = IdentityStatus.QUAL
    elif has_ins and status is IdentityStatus.PROV:
        status = IdentityStatus.RECUP
    return status, attributes


def _phone(field: Field) -> str | None:
    for repetition in field.repetitions:
        number = _text(repetition, 1) or _text(repetition, 12) or _text(repetition, 7)
        if number and "@" not in number:
            return number
    return None


def _email(field: Field) -> str | None:
    return next((mail for r in field.repetitions if (mail := _text(r, 4)) and "@" in mail), None)


def cx(*identifiers: PatientId) -> Field:
    """Identifiers as CX, one repetition each."""
    written = [f"{STANDARD.escaped(each.value)}{_assigned_by(each.authority, each.type_code)}" for each in identifiers]
    return Field(STANDARD.repetition.join(written), STANDARD, "utf-8")


@lru_cache(maxsize=256)
def _assigned_by(authority: AssigningAuthority, type_code: str | None) -> str:
    """What follows the value in a CX, written once: authorities are few, and every answer names them."""
    parts = (authority.namespace, authority.oid, "ISO" if authority.oid else None)
    hd = STANDARD.subcomponent.join(STANDARD.escaped(part or "") for part in parts).rstrip(STANDARD.subcomponent)
    components = ("", "", "", hd, STANDARD.escaped(type_code or ""))
    return STANDARD.component.join(components).rstrip(STANDARD.component)


def is_french(message: Message) -> bool:
    """Whether a message is in the French dialect (PAM France): MSH-12 names it, or MSH-17 or MSH-21 does."""
    msh = message.msh
    return msh.text(12, 2) == "FRA" or msh.text(17) == "FRA" or "IHE_FRANCE" in msh.written(21)


def pid_segment(
    identifiers: Sequence[PatientId], shown: Traits | None = None, *, set_id: int | None = None, french: bool = True
) -> SegmentBuilder:
    """A PID of ours.

    Args:
        shown: traits to write; ``None`` writes the empty names that a PIX answer has.
        set_id: PID-1, or ``None``.
        french: write the French dialect; else plain HL7, which has no place for birthplace code and reliability.
    """
    pid = SegmentBuilder("PID")
    if set_id is not None:
        pid.set(1, str(set_id))
    pid.set(3, cx(*identifiers))
    if shown is None:
        return pid.set(5, _NO_NAME)
    pid.set(5, *(_french_names(shown) if french else _plain_names(shown)))
    if shown.mother_family_name:
        pid.set(6, [shown.mother_family_name, "", "", "", "", "", "M"])
    if shown.birth_date is not None:
        pid.set(7, shown.birth_date.hl7)
    if shown.sex is not None:
        pid.set(8, str(shown.sex))
    if shown.address or shown.city or shown.postal_code:
        pid.add(11, [shown.address, "", shown.city, "", shown.postal_code, "", "H"])
    if shown.phone:
        pid.set(13, shown.phone)
    if shown.multiple_birth is not None:
        pid.set(24, "Y" if shown.multiple_birth else "N")
    if shown.birth_order:
        pid.set(25, str(shown.birth_order))
    if shown.death_date is not None:
        pid.set(29, shown.death_date.hl7).set(30, "Y")
    if french:
        if shown.birth_place_code:
            pid.add(11, ["", "", "", "", "", "", "BDL", "", shown.birth_place_code])
        pid.set(32, *_reliability_codes(shown))
    return pid


def _french_names(shown: Traits) -> list[list[str | None]]:
    """Type L: birth name, first given name, and the complete list; type D: the name used in life."""
    birth: list[str | None] = [shown.birth_family_name, _first_given(shown), " ".join(shown.birth_given_names) or None]
    names = [[*birth, "", "", "", "L"]]
    if shown.used_family_name or shown.used_given_name:
        names.append([shown.used_family_name, shown.used_given_name, "", "", "", "", "D"])
    return names


def _plain_names(shown: Traits) -> list[list[str | None]]:
    """Type L: the name that the patient goes by; type B beside it: the name at birth, where it is another one."""
    first = _first_given(shown)
    further = " ".join(shown.birth_given_names)[len(first or "") :].strip() or None
    birth: list[str | None] = [shown.birth_family_name, first, further, "", "", ""]
    if not (shown.used_family_name or shown.used_given_name):
        return [[*birth, "L"]]
    used = [shown.used_family_name or shown.birth_family_name, shown.used_given_name or first]
    return [[*used, "", "", "", "", "L"], [*birth, "B"]]


def _first_given(shown: Traits) -> str | None:
    return shown.first_birth_given_name or (shown.birth_given_names[0] if shown.birth_given_names else None)


def _reliability_codes(shown: Traits) -> list[str]:
    status = {IdentityStatus.QUAL: "VALI", IdentityStatus.RECUP: "PROV", IdentityStatus.VIDE: None}
    stated = status.get(shown.identity_status, str(shown.identity_status))
    return [*([stated] if stated else []), *sorted(shown.identity_attributes)]
