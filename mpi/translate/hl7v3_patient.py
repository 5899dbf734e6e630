"""Patients of HL7 v3 messages ⇄ identity traits and identifiers.

Names follow the French use of HL7 v3: a family name or given name with qualifier ``BR`` is the one at birth, a family
name with ``SP`` and a given name with ``CL`` are those used in life, given names without qualifier are the list of the
civil registry. Plain messages, where the legal name (``use="L"``) is all there is, are read as HL7 v2 ones are.
The INSEE code of the birthplace is the ``county`` of its address. What HL7 v3 has no place for, the reliability of an
identity, is an administrative observation with a code of HL7 table 0445.

Source: HL7 v3 PRPA_MT201301UV02, PRPA_MT201310UV02; ITI TF-2: 3.44.4.1.2; CI-SIS, volet Structuration minimale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ihe.errors import InvalidElement
from ihe.values import PartialDate, PatientId
from ihe.xml import Element, escaped, quoted
from mpi.domain.identity import IdentityStatus, Sex, Traits
from mpi.domain.search import fold
from mpi.translate.hl7v3_elements import attribute, content, every, first, patient_id
from mpi.translate.hl7v3_text import id_text

RELIABILITY: Final = "2.16.840.1.113883.12.445"
"""HL7 table 0445, identity reliability."""

RELATIONSHIPS: Final = "2.16.840.1.113883.5.111"

INS_AUTHORITIES: Final = frozenset(f"1.2.250.1.213.1.4.{arc}" for arc in (8, 9, 10, 11))

_SEXES: Final = {"M": Sex.MALE, "F": Sex.FEMALE, "UN": Sex.OTHER, "O": Sex.OTHER, "A": Sex.OTHER, "U": Sex.UNKNOWN}
_OTHER_USES: Final = frozenset({"A", "ASGN", "I", "P", "PHON", "R", "SNDX", "SRCH", "SYL"})
"""Uses of names that are no legal ones: artist's, assigned, indigenous, pseudonym, phonetic, religious, search."""

_STATUSES: Final = frozenset(IdentityStatus)
_NO_NAME: Final = '<name nullFlavor="NA"/>'


@dataclass(frozen=True, slots=True)
class NameParts:
    """One ``name``: its parts as (qualifiers, text), blanks removed, empty ones left out.

    Attributes:
        uses: of the name.
    """

    uses: frozenset[str]
    families: tuple[tuple[frozenset[str], str], ...]
    givens: tuple[tuple[frozenset[str], str], ...]

    def family(self, wanted: Callable[[frozenset[str]], bool]) -> str | None:
        """The first family name whose qualifiers are wanted."""
        return next((text for qualifiers, text in self.families if wanted(qualifiers)), None)

    def given(self, qualifier: str) -> str | None:
        """The first given name with a qualifier."""
        return next((text for qualifiers, text in self.givens if qualifier in qualifiers), None)

    @property
    def listed(self) -> tuple[str, ...]:
        """The given names that are not said to be something else (used, prefix, initial)."""
        return tuple(text for qualifiers, text in self.givens if not qualifiers & {"BR", "CL", "SP", "IN"})

    @property
    def is_at_birth(self) -> bool:
        """Whether it says that it is the name at birth."""
        return any("BR" in qualifiers for qualifiers, _ in (*self.families, *self.givens))


def name_parts(name: Element) -> NameParts:
    """Read a ``name``."""

    def parts(kind: str) -> Iterator[tuple[frozenset[str], str]]:
        for part in every(name, kind):
            text = content(part)
            if text:
                yield frozenset((part.get("qualifier") or "").split()), text

    return NameParts(frozenset((name.get("use") or "").split()), tuple(parts("family")), tuple(parts("given")))


def identifiers(patient: Element, where: str) -> list[PatientId]:
    """All identifiers of a patient: those of the role, then those by which others know the person.

    Args:
        where: XPath of the patient, for errors.

    Raises:
        InvalidElement: a root is not an OID.
    """
    found: dict[PatientId, None] = {}
    for path in ("id", "patientPerson/id", "patientPerson/asOtherIDs/id"):
        for number, element in enumerate(every(patient, path), 1):
            identifier = patient_id(element, f"{where}/{path}[{number}]")
            if identifier is not None:
                found.setdefault(identifier)
    return list(found)


def traits(patient: Element, where: str) -> Traits:
    """What a patient element says of a patient.

    Args:
        where: XPath of the patient, for errors.

    Raises:
        InvalidElement: a date, sex, rank or identifier is not of its kind.
    """
    person = first(patient, "patientPerson")
    where_person = f"{where}/patientPerson"
    names = [name_parts(name) for name in every(person, "name")]
    home = home_address([*every(person, "addr"), *every(patient, "addr")])
    phone, email = contact([*every(person, "telecom"), *every(patient, "telecom")])
    ins = next((i for i in identifiers(patient, where) if i.authority.oid in INS_AUTHORITIES), None)
    status, attributes = _reliability(patient)
    return replace(
        name_traits(names),
        sex=_sex(person, where_person),
        birth_date=_date(person, "birthTime", where_person),
        birth_place_code=content(first(person, "birthPlace/addr/county")),
        address=home.address,
        postal_code=home.postal_code,
        city=home.city,
        phone=phone,
        email=email,
        ins=ins.value if ins else None,
        ins_oid=str(ins.authority.oid) if ins else None,
        identity_status=status,
        identity_attributes=attributes,
        mother_family_name=_mother(person),
        multiple_birth={"true": True, "1": True, "false": False, "0": False}.get(
            attribute(person, "multipleBirthInd") or ""
        ),
        birth_order=_birth_order(person, where_person),
        death_date=_date(person, "deceasedTime", where_person),
    )


def name_traits(names: Sequence[NameParts]) -> Traits:
    """Birth and used names."""
    legal = [n for n in names if not n.uses & _OTHER_USES and (n.families or n.givens)]
    birth = next((n for n in legal if n.is_at_birth), None) or next(
        (n for n in legal if "L" in n.uses), next(iter(legal), None)
    )
    if birth is None:
        return Traits()
    used = next((n for n in legal if n is not birth and (n.families or n.givens)), None)
    family = birth.family(lambda q: "BR" in q) or birth.family(lambda q: not q & {"SP", "CL"})
    return Traits(
        birth_family_name=family,
        birth_given_names=_given_names(birth),
        first_birth_given_name=birth.given("BR") or next(iter(birth.listed), None),
        used_family_name=_used_family(birth, used),
        used_given_name=birth.given("CL") or _used_given(used),
    )


def _used_family(birth: NameParts, used: NameParts | None) -> str | None:
    spouse = birth.family(lambda q: bool(q & {"SP", "CL"}))
    if spouse is None and birth.family(lambda q: "BR" in q) is not None:
        spouse = birth.family(lambda q: "BR" not in q)
    return spouse or (used.family(lambda q: True) if used is not None else None)


def _used_given(used: NameParts | None) -> str | None:
    return next((text for _, text in used.givens), None) if used is not None else None


def _given_names(birth: NameParts) -> tuple[str, ...]:
    """All given names in order: those without qualifier are the complete list, or only the further ones."""
    at_birth, rest = birth.given("BR") or "", " ".join(birth.listed)
    listed = rest if fold(rest).startswith(fold(at_birth)) else f"{at_birth} {rest}"
    return tuple((listed if rest else at_birth).split())


def _sex(person: Element | None, where: str) -> Sex | None:
    code = first(person, "administrativeGenderCode")
    if code is None:
        stated = person.find("{*}administrativeGenderCode") if person is not None else None
        return Sex.UNKNOWN if stated is not None and stated.get("nullFlavor") == "UNK" else None
    return read_sex(code, f"{where}/administrativeGenderCode")


def read_sex(code: Element, where: str) -> Sex | None:
    """The sex that a coded value says; ``None`` when it has no code.

    Raises:
        InvalidElement: the code is none of M, F, UN.
    """
    value = (code.get("code") or "").strip()
    if value and value not in _SEXES:
        raise InvalidElement("the administrative gender is none of M, F, UN", where)
    return _SEXES.get(value)


def read_date(text: str, where: str) -> PartialDate:
    """A point in time as a date.

    Raises:
        InvalidElement: it is none.
    """
    try:
        return PartialDate.parse(text)
    except ValueError as error:
        raise InvalidElement(f"it is not a date: {error}", where) from error


def _date(person: Element | None, name: str, where: str) -> PartialDate | None:
    text = attribute(person, name)
    return read_date(text, f"{where}/{name}") if text is not None else None


@dataclass(frozen=True, slots=True)
class HomeAddress:
    """Where a patient lives; empty is ``None``."""

    address: str | None = None
    postal_code: str | None = None
    city: str | None = None


def home_address(addresses: Sequence[Element]) -> HomeAddress:
    """The first address that is not of work, and not a bad one."""
    for address in addresses:
        if len(address) and not set((address.get("use") or "").split()) & {"WP", "BAD", "DIR", "PUB"}:
            lines = " ".join(text for line in every(address, "streetAddressLine") if (text := content(line)))
            return HomeAddress(lines or None, content(first(address, "postalCode")), content(first(address, "city")))
    return HomeAddress()


def contact(telecoms: Sequence[Element]) -> tuple[str | None, str | None]:
    """The first telephone number and the first mail address."""
    values = [(telecom.get("value") or "").strip() for telecom in telecoms]
    phone, email = (next((found for v in values if (found := read(v))), None) for read in (_phone, _email))
    return phone, email


def _phone(value: str) -> str | None:
    scheme, separator, rest = value.partition(":")
    if not separator:
        return value if value and "@" not in value else None
    return rest.strip() or None if scheme.lower() == "tel" else None


def _email(value: str) -> str | None:
    scheme, separator, rest = value.partition(":")
    found = rest if separator and scheme.lower() == "mailto" else value
    return found if "@" in found and (not separator or found is rest) else None


def _mother(person: Element | None) -> str | None:
    for relation in every(person, "personalRelationship"):
        if attribute(relation, "code", "code") == "MTH":
            return content(first(relation, "relationshipHolder1/name/family"))
    return None


def _birth_order(person: Element | None, where: str) -> int | None:
    text = attribute(person, "multipleBirthOrderNumber")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 2):
        raise InvalidElement("the birth order is not a number", f"{where}/multipleBirthOrderNumber")
    return int(text) or None


def _reliability(patient: Element) -> tuple[IdentityStatus, frozenset[str]]:
    codes = [
        value.get("code") or ""
        for path in ("subjectOf/administrativeObservation", "subjectOf2/administrativeObservation")
        for observation in every(patient, path)
        if attribute(observation, "code", "codeSystem") == RELIABILITY
        for value in every(observation, "value")
    ]
    status = next((IdentityStatus(code) for code in codes if code in _STATUSES), IdentityStatus.VIDE)
    return status, frozenset(code for code in codes if code and code not in _STATUSES)


def patient_text(ids: Sequence[PatientId], shown: Traits | None = None, *, match_quality: int | None = None) -> str:
    """A ``patient``, written.

    Args:
        ids: at least one.
        shown: traits to write; ``None`` writes the null name of a PIX answer.
        match_quality: 0 to 100, which a demographic query is answered with; ``None`` writes none.
    """
    person, quality, reliability = _NO_NAME, "", ""
    if match_quality is not None:
        quality = (
            '<subjectOf1><queryMatchObservation classCode="COND" moodCode="EVN"><code code="IHE_PDQ"/>'
            f'<value value="{match_quality}" xsi:type="INT"/></queryMatchObservation></subjectOf1>'
        )
    if shown is not None:
        person = _person_text(shown)
        reliability = _reliability_text(shown, "subjectOf2" if quality else "subjectOf")
    return (
        f'<patient classCode="PAT">{"".join(map(id_text, ids))}<statusCode code="active"/>'
        f'<patientPerson classCode="PSN" determinerCode="INSTANCE">{person}</patientPerson>'
        f"{_provider_text(ids[0])}{quality}{reliability}</patient>"
    )


def _provider_text(identifier: PatientId) -> str:
    """The organization that keeps the record: the one that assigned its identifier."""
    oid = identifier.authority.oid
    known = f'root="{oid}"' if oid is not None else 'nullFlavor="UNK"'
    return (
        f'<providerOrganization classCode="ORG" determinerCode="INSTANCE"><id {known}/>'
        '<contactParty classCode="CON"/></providerOrganization>'
    )


def _person_text(shown: Traits) -> str:
    """What is known of a person, in the order of the schemas."""
    parts = [_name_text(shown)]
    if shown.phone:
        parts.append(f'<telecom value={quoted(f"tel:{shown.phone}")} use="HP"/>')
    if shown.email:
        parts.append(f"<telecom value={quoted(f'mailto:{shown.email}')}/>")
    if shown.sex is Sex.UNKNOWN:
        parts.append('<administrativeGenderCode nullFlavor="UNK"/>')
    elif shown.sex is not None:
        code = "UN" if shown.sex is Sex.OTHER else shown.sex
        parts.append(f'<administrativeGenderCode code="{code}" codeSystem="2.16.840.1.113883.5.1"/>')
    if shown.birth_date is not None:
        parts.append(f'<birthTime value="{shown.birth_date.hl7}"/>')
    if shown.death_date is not None:
        parts.append(f'<deceasedInd value="true"/><deceasedTime value="{shown.death_date.hl7}"/>')
    if shown.multiple_birth is not None:
        parts.append(f'<multipleBirthInd value="{"true" if shown.multiple_birth else "false"}"/>')
    if shown.birth_order is not None:
        parts.append(f'<multipleBirthOrderNumber value="{shown.birth_order}"/>')
    address = ""
    for name, value in (
        ("streetAddressLine", shown.address),
        ("city", shown.city),
        ("postalCode", shown.postal_code),
    ):
        if value:
            address += f"<{name}>{escaped(value)}</{name}>"
    if address:
        parts.append(f'<addr use="H">{address}</addr>')
    if shown.mother_family_name:
        parts.append(
            f'<personalRelationship classCode="PRS"><code code="MTH" codeSystem="{RELATIONSHIPS}"/>'
            '<relationshipHolder1 classCode="PSN" determinerCode="INSTANCE">'
            f"<name><family>{escaped(shown.mother_family_name)}</family></name>"
            "</relationshipHolder1></personalRelationship>"
        )
    if shown.birth_place_code:
        county = f"<county>{escaped(shown.birth_place_code)}</county>"
        parts.append(f'<birthPlace classCode="BIRTHPL"><addr>{county}</addr></birthPlace>')
    return "".join(parts)


def _name_text(shown: Traits) -> str:
    first_given = shown.first_birth_given_name or next(iter(shown.birth_given_names), None)
    names = ""
    if shown.birth_family_name:
        names += f'<family qualifier="BR">{escaped(shown.birth_family_name)}</family>'
    if shown.used_family_name:
        names += f'<family qualifier="SP">{escaped(shown.used_family_name)}</family>'
    if first_given:
        names += f'<given qualifier="BR">{escaped(first_given)}</given>'
    for name in _further_names(first_given, shown.birth_given_names):
        if name:
            names += f"<given>{escaped(name)}</given>"
    if shown.used_given_name:
        names += f'<given qualifier="CL">{escaped(shown.used_given_name)}</given>'
    return f'<name use="L">{names}</name>' if names else '<name nullFlavor="UNK"/>'


def _further_names(first_given: str | None, listed: tuple[str, ...]) -> tuple[str, ...]:
    """What follows the first given name: the rest of the list, or all of it where the rest would read as all."""
    head = tuple((first_given or "").split())
    rest = listed[len(head) :]
    ambiguous = listed[: len(head)] != head or (rest and fold(" ".join(rest)).startswith(fold(first_given or "")))
    return listed if ambiguous else rest


def _reliability_text(shown: Traits, relation: str) -> str:
    if shown.identity_status is IdentityStatus.VIDE and not shown.identity_attributes:
        return ""
    status = [] if shown.identity_status is IdentityStatus.VIDE else [str(shown.identity_status)]
    return "".join(
        f'<{relation} typeCode="SBJ"><administrativeObservation classCode="OBS">'
        f'<code code="identity-reliability" codeSystem="{RELIABILITY}"/>'
        f'<value code={quoted(code)} codeSystem="{RELIABILITY}" xsi:type="CD"/>'
        f"</administrativeObservation></{relation}>"
        for code in (*status, *sorted(shown.identity_attributes))
    )
