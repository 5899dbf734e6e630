"""The people the demonstration tells about, made by hand so that the story is the same for every seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from ihe.values import PartialDate
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from region.synthetic.chronicle import Chronicle
from region.synthetic.civil_status import INS_NIR, Person, Registrar
from region.synthetic.writing import HANDS, Spelling


@dataclass(frozen=True, slots=True)
class Character:
    """One person of the story.

    Attributes:
        name: as the story calls the person.
        records: the person's record at each site, by domain code.
    """

    person: Person
    name: str
    records: Mapping[str, RecordKey]


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is who.

    Attributes:
        patient: known at CHUSE and ROANNE with her INS, at ANNONAY misspelt, at ICL under her married name alone.
        twin: her sister, born the same day in the same town, known at CHUSE and ROANNE.
        stranger: born with the patient's married name, ten days after her, with her given name; known at FIRMINY,
            where nobody checked her identity. Like enough to ask about, and another person.
    """

    patient: Character
    twin: Character
    stranger: Character

    @property
    def everyone(self) -> tuple[Character, ...]:
        """All of them."""
        return self.patient, self.twin, self.stranger


_PATIENT = Person(
    role="patient", sex=Sex.FEMALE, family_name="Valdoyer", given_names=("Éloïse", "Marguerite", "Anne"),
    birth_date=date(1958, 3, 17), birth_place="42187", street="14 rue Émile-Zola", postal_code="42300", city="ROANNE",
    phone="0639980017", used_family_name="Bruyeron", birth_rank=1,
)  # fmt: skip
_TWIN = replace(
    _PATIENT, role="sister", given_names=("Élise", "Jeanne"), birth_rank=2, street="3 place des Promenades",
    phone="0639980018", used_family_name=None,
)  # fmt: skip
_STRANGER = Person(
    role="stranger", sex=Sex.FEMALE, family_name="Bruyeron", given_names=("Éloïse", "Clémence"),
    birth_date=date(1958, 3, 27), birth_place="42095", street="8 rue des Écoles", postal_code="42700", city="FIRMINY",
    phone="0639980019",
)  # fmt: skip


def play(registrar: Registrar, chronicle: Chronicle) -> Cast:
    """Register the cast and let its records be made in the first two days of the feed."""
    patient, twin = registrar.register(_PATIENT), registrar.register(_TWIN)
    stranger = registrar.register(_STRANGER, with_ins=False)
    misspelt = replace(_stated(patient, "ANNONAY"), birth_family_name="Valdoier")
    married = replace(
        _stated(patient, "ICL"), birth_family_name="BRUYERON", used_family_name=None, used_given_name=None
    )
    at_patient = {
        "CHUSE": chronicle.create(patient, "CHUSE", _with_ins(_stated(patient, "CHUSE"), patient), after_days=0.1),
        "ROANNE": chronicle.create(patient, "ROANNE", _with_ins(_stated(patient, "ROANNE"), patient), after_days=0.3),
        "ANNONAY": chronicle.create(patient, "ANNONAY", misspelt, after_days=0.6),
        "ICL": chronicle.create(patient, "ICL", married, after_days=0.9, trigger="A04"),
    }
    at_twin = {
        "CHUSE": chronicle.create(twin, "CHUSE", _stated(twin, "CHUSE"), after_days=0.2),
        "ROANNE": chronicle.create(twin, "ROANNE", _stated(twin, "ROANNE"), after_days=1.1),
    }
    unchecked = replace(_stated(stranger, "FIRMINY"), birth_given_names=(), identity_status=IdentityStatus.PROV)
    at_stranger = {"FIRMINY": chronicle.create(stranger, "FIRMINY", unchecked, after_days=0.4)}
    chronicle.stay(at_patient["ROANNE"], "A01", "A03")
    return Cast(
        patient=Character(patient, "Éloïse VALDOYER, épouse BRUYERON", at_patient),
        twin=Character(twin, "Élise VALDOYER, sa jumelle", at_twin),
        stranger=Character(stranger, "Éloïse BRUYERON, de Firminy", at_stranger),
    )


def _stated(person: Person, site: str) -> Traits:
    """Validated identity as the site writes it, complete and without INS."""
    write = HANDS[site].write
    born = person.birth_date
    return Traits(
        birth_family_name=write(person.family_name),
        birth_given_names=tuple(map(write, person.given_names)),
        first_birth_given_name=write(person.given_names[0]),
        used_family_name=write(person.used_family_name) if person.used_family_name else None,
        used_given_name=write(person.given_names[0]) if person.used_family_name else None,
        sex=person.sex,
        birth_date=PartialDate(born.year, born.month, born.day),
        birth_place_code=person.birth_place,
        address=person.street,
        postal_code=person.postal_code,
        city=person.city,
        phone=person.phone,
        identity_status=IdentityStatus.VALI,
        multiple_birth=True if person.birth_rank else None,
        birth_order=person.birth_rank,
    )


def _with_ins(traits: Traits, person: Person) -> Traits:
    """The identity qualified, with INSi's spelling of the strict traits."""
    insi = Spelling.RNIV_CAPITALS.write
    return replace(
        traits,
        birth_family_name=insi(person.family_name),
        birth_given_names=tuple(map(insi, person.given_names)),
        first_birth_given_name=insi(person.given_names[0]),
        ins=person.ins,
        ins_oid=INS_NIR,
        identity_status=IdentityStatus.QUAL,
    )
