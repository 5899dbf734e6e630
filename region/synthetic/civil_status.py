"""The civil status of invented persons: what is true of each, whatever the sites write.

Families, twins, homonyms and namesakes are made on purpose; no two others share a name and a birth date.
"""

from __future__ import annotations

import random
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, timedelta

from ihe.values import Oid
from mpi.domain.identity import Sex
from region.synthetic import vocabulary

INS_NIR = Oid("1.2.250.1.213.1.4.8")
INS_NIA = Oid("1.2.250.1.213.1.4.9")

TODAY = date(2026, 1, 5)
"""The day on which the feed of the invented region begins; ages are counted from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What is true of one invented person.

    Attributes:
        number: names the person in the ground truth, from 1; 0 for a draft.
        role: why the person was made: ``resident``, ``twin``, ``homonym``, ``namesake``, ``newborn``, or a
            name of the demonstration.
        family_name, given_names: civil status, in usual spelling with accents.
        used_family_name, used_given_name: names used in life, or ``None``.
        mother_family_name: birth name of the mother, for children.
        birth_place: INSEE code of the commune or ``99xxx`` of the country.
        date_known: ``False`` when only the year of birth is known; the date then is 31/12.
        birth_rank: order in a multiple birth, from 1, or ``None``.
        ins: INS matricule with its key, or ``None`` for a person who has none.
    """

    number: int = 0
    role: str = "resident"
    sex: Sex
    family_name: str
    given_names: tuple[str, ...]
    birth_date: date
    birth_place: str
    street: str
    postal_code: str
    city: str
    phone: str
    used_family_name: str | None = None
    used_given_name: str | None = None
    mother_family_name: str | None = None
    date_known: bool = True
    birth_rank: int | None = None
    ins: str | None = None

    @property
    def born_abroad(self) -> bool:
        """Whether the birth place is a country."""
        return self.birth_place.startswith("99")


def nir_key(body: str) -> str:
    """The two-digit key of a thirteen-character NIR; Corsican departments count as 19 and 18.

    Source: INSEE, numéro d'inscription au répertoire.
    """
    return f"{97 - int(body.replace('2A', '19').replace('2B', '18')) % 97:02d}"


def fictitious_nir(sex: Sex, birth_date: date, birth_place: str) -> str:
    """A NIR with a valid key and the order number 000, which is never attributed to anyone."""
    body = f"{'1' if sex is Sex.MALE else '2'}{birth_date:%y%m}{birth_place}000"
    return body + nir_key(body)


class Registrar:
    """Invents persons, each registered once under the next number."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.registered = 0
        self._taken: set[tuple[str, str, date]] = set()
        self._matricules: set[str] = set()

    def register(self, draft: Person, *, with_ins: bool = True) -> Person:
        """Give a draft its number, and an INS unless another person already has what would be its own."""
        self.registered += 1
        ins = fictitious_nir(draft.sex, draft.birth_date, draft.birth_place)
        if not with_ins or ins in self._matricules:
            return replace(draft, number=self.registered, ins=None)
        self._matricules.add(ins)
        return replace(draft, number=self.registered, ins=ins)

    def resident(self) -> Person:
        """A person like most: two women for one man (they go to hospital more), most of them of age."""
        rng = self._rng
        age_days = int(rng.triangular(1, 96, 62) * 365.25)
        abroad = age_days > 26 * 365 and rng.random() < 0.06
        draft = self._draft(rng.choice((Sex.FEMALE, Sex.FEMALE, Sex.MALE)), TODAY - timedelta(days=age_days), abroad)
        return self.register(draft, with_ins=rng.random() < 0.85)

    def twins(self) -> tuple[Person, Person]:
        """Two of one birth: one family name, date, place and home; no given name in common."""
        rng = self._rng
        first = self._draft(rng.choice((Sex.FEMALE, Sex.MALE)), TODAY - timedelta(days=rng.randint(3 * 365, 60 * 365)))
        first = replace(
            first, role="twin", birth_rank=1, used_family_name=None, used_given_name=None,
            birth_place=_weighted(rng, vocabulary.MATERNITIES).code,
            mother_family_name=self._family_name() if rng.random() < 0.3 else None,
        )  # fmt: skip
        sex = first.sex if rng.random() < 0.6 else rng.choice((Sex.FEMALE, Sex.MALE))
        given = self._unclaimed_given_names(
            sex, first.family_name, first.birth_date, without=_name_parts(first.given_names)
        )
        second = replace(first, birth_rank=2, sex=sex, given_names=given)
        return self.register(first), self.register(second)

    def homonyms(self) -> tuple[Person, Person]:
        """Two strangers of one name, one first given name, one sex and one birth date, born in different places."""
        rng = self._rng
        born = TODAY - timedelta(days=rng.randint(20 * 365, 85 * 365))
        first = replace(self._draft(rng.choice((Sex.FEMALE, Sex.MALE)), born), role="homonym", used_given_name=None)
        street, postal_code, city, phone = self._home()
        second = replace(
            first,
            given_names=(first.given_names[0], *self._given_names(first.sex, born.year)[1:]),
            birth_place=_weighted(rng, [town for town in vocabulary.COMMUNES if town.code != first.birth_place]).code,
            used_family_name=self._married_name(first.family_name) if first.used_family_name else None,
            street=street, postal_code=postal_code, city=city, phone=phone,
        )  # fmt: skip
        return self.register(first), self.register(second)

    def namesakes(self) -> tuple[Person, Person]:
        """Father and son of one family name and one first given name, living together."""
        rng = self._rng
        father = self._draft(Sex.MALE, TODAY - timedelta(days=rng.randint(45 * 365, 88 * 365)))
        father = replace(father, role="namesake", used_given_name=None)
        son = replace(
            father,
            birth_date=father.birth_date + timedelta(days=rng.randint(22 * 365, 38 * 365)),
            birth_place=_weighted(rng, vocabulary.MATERNITIES).code,
            given_names=(father.given_names[0], *self._given_names(Sex.MALE, 1990)[1:]),
        )
        return self.register(father), self.register(son)

    def birth(self, *, children: int) -> tuple[Person, ...]:
        """A mother and her one or two children of the last weeks, who live with her and mostly bear another name."""
        rng = self._rng
        mother = self._draft(Sex.FEMALE, TODAY - timedelta(days=rng.randint(19 * 365, 42 * 365)))
        mother = replace(mother, role="mother")
        family = mother.family_name if rng.random() < 0.25 else self._family_name()
        born = TODAY - timedelta(days=rng.randint(5, 60))
        place = _weighted(rng, vocabulary.MATERNITIES).code
        registered = [self.register(mother)]
        used: set[str] = set()
        for rank in range(1, children + 1):
            sex = rng.choice((Sex.FEMALE, Sex.MALE))
            given = self._unclaimed_given_names(sex, family, born, without=used)
            used |= _name_parts(given)
            child = replace(
                mother, role="newborn", sex=sex, family_name=family, given_names=given, birth_date=born,
                birth_place=place, used_family_name=None, used_given_name=None, date_known=True,
                mother_family_name=mother.family_name, birth_rank=rank if children > 1 else None,
            )  # fmt: skip
            registered.append(self.register(child))
        return tuple(registered)

    def stranger(self, role: str) -> Person:
        """Somebody whose civil status no site learns."""
        rng = self._rng
        draft = self._draft(rng.choice((Sex.FEMALE, Sex.MALE)), TODAY - timedelta(days=rng.randint(6600, 32000)))
        return self.register(replace(draft, role=role), with_ins=False)

    def _draft(self, sex: Sex, born: date, abroad: bool = False) -> Person:
        rng = self._rng
        date_known = not (abroad and rng.random() < 0.4)
        if not date_known:
            born = date(born.year, 12, 31)
        family = self._family_name(abroad)
        given = self._unclaimed_given_names(sex, family, born, abroad)
        married = sex is Sex.FEMALE and born.year < TODAY.year - 24 and rng.random() < 0.65
        street, postal_code, city, phone = self._home()
        return Person(
            sex=sex,
            family_name=family,
            given_names=given,
            birth_date=born,
            birth_place=self._country() if abroad else _weighted(rng, vocabulary.COMMUNES).code,
            street=street,
            postal_code=postal_code,
            city=city,
            phone=phone,
            used_family_name=self._married_name(family) if married else None,
            used_given_name=given[1] if len(given) > 1 and rng.random() < 0.05 else None,
            date_known=date_known,
        )

    def _country(self) -> str:
        return self._rng.choices(tuple(vocabulary.COUNTRIES), tuple(vocabulary.COUNTRIES.values()))[0]

    def _family_name(self, abroad: bool = False) -> str:
        rng = self._rng
        if abroad:
            return rng.choice(vocabulary.FOREIGN_FAMILY_NAMES)
        if rng.random() < 0.08:
            return rng.choice(vocabulary.COMPOSED_FAMILY_NAMES)
        return _falling(rng, vocabulary.FAMILY_NAMES)

    def _married_name(self, birth_name: str) -> str:
        """A husband's name; for one in eleven behind her own."""
        name = self._family_name()
        return f"{birth_name}-{name}" if self._rng.random() < 0.09 and "-" not in birth_name + name else name

    def _unclaimed_given_names(
        self, sex: Sex, family: str, born: date, abroad: bool = False, without: Set[str] = frozenset()
    ) -> tuple[str, ...]:
        """Given names whose first makes a new combination, none having a part in ``without``."""
        while True:
            given = self._given_names(sex, born.year, abroad)
            key = (family, given[0], born)
            if key not in self._taken and not _name_parts(given) & without:
                self._taken.add(key)
                return given

    def _given_names(self, sex: Sex, year: int, abroad: bool = False) -> tuple[str, ...]:
        rng = self._rng
        if abroad:
            return (rng.choice(vocabulary.FOREIGN_GIVEN_NAMES[sex]),)
        names = vocabulary.given_names(sex, year)
        count = rng.choices((1, 2, 3, 4), (20, 35, 38, 7))[0]
        drawn: list[str] = []
        while len(drawn) < count:
            name = _falling(rng, names)
            if name not in drawn:
                drawn.append(name)
        return tuple(drawn)

    def _home(self) -> tuple[str, str, str, str]:
        rng = self._rng
        place = _weighted(rng, vocabulary.RESIDENCES)
        # The French numbering plan sets 06 39 98 xx xx aside for fiction.
        phone = f"063998{rng.randint(0, 9999):04d}"
        return f"{rng.randint(1, 120)} {rng.choice(vocabulary.STREETS)}", place.postal_code, place.name, phone


def _name_parts(names: Sequence[str]) -> frozenset[str]:
    """The single names in given names, those of compounds apart."""
    return frozenset(part for name in names for part in name.split("-"))


def _weighted(rng: random.Random, places: Sequence[vocabulary.Commune]) -> vocabulary.Commune:
    return rng.choices(places, [place.weight for place in places])[0]


def _falling(rng: random.Random, names: Sequence[str]) -> str:
    """One of the names, the first about ten times as often as the last."""
    return names[int(len(names) * rng.random() ** 1.6)]
