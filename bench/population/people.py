"""Families of a French region, one lineage after another, so that memory does not grow with the population.

A lineage is a couple, their children with the children's own households, and so on down to today's newborns.
Relatives share surnames, addresses, telephones and places, as they do in a hospital's files.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.population.errors import Date
from bench.population.origins import ORIGINS, Origin
from bench.population.places import Address, birth_place, mobile, near, new_address, residences
from bench.population.profiles import Profile
from bench.population.tables import Commune, Weighted, close_given_names, fold, given_name, spoken, surname

THIS_YEAR = 2026


def _patient_share(age: int) -> float:
    """Share of a lineage's members who are patients of a site: most of the old, half of the young."""
    return 0.45 if age > 2 and age < 45 else 0.65 if age < 60 else 0.9


_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ORIGIN = Weighted((origin, origin.weight) for origin in ORIGINS)


@dataclass(slots=True)
class Person:
    """One human being, as the civil registry knows them.

    Attributes:
        number: running number, the ground truth.
        family: number of the lineage.
        delivery: number shared by the children of one multiple birth, or 0.
        homonym_of: number of the person whose name, sex and birth date were copied, or 0.
        given: civil given names in order, each possibly compound.
        used_surname: surname used in life, or empty.
        used_given: given name used in life when it is not the first, or empty.
        default_date: the registered birth date is a default.
        addresses: dwellings, oldest first.
        moved_in: year since which the last dwelling is theirs.
        nir: 15 characters, order numbers counted down from 999.
    """

    number: int
    family: int
    sex: str
    surname: str
    given: tuple[str, ...]
    birth: Date
    place: str
    home: Commune
    father: Person | None = None
    mother: Person | None = None
    spouse: Person | None = None
    delivery: int = 0
    homonym_of: int = 0
    used_surname: str = ""
    used_given: str = ""
    default_date: bool = False
    birth_rank: int = 0
    mobile: str = ""
    email: str = ""
    nir: str = ""
    addresses: list[Address] = field(default_factory=list)
    moved_in: int = 0


class Registry:
    """Gives numbers to people, and each a NIR that nobody else in this population has.

    The order part counts down from 999 for each sex, month and commune: high numbers are rarely attributed
    in real life. When a month is full, fictitious months from 21 on take over, as in real life.
    """

    def __init__(self) -> None:
        self.people = 0
        self.families = 0
        self.deliveries = 0
        self._used: dict[str, int] = {}

    def number(self) -> int:
        """The next person's number, from 1."""
        self.people += 1
        return self.people

    def nir(self, sex: str, birth: Date, place: str) -> str:
        """A NIR with its key for someone born at this date in this place."""
        digit, year = "1" if sex == "M" else "2", birth[0] % 100
        if place == "99352" and birth[0] < 1962:
            place = f"9{1 + birth[2] % 4}352"
        if place[:2] in ("2A", "2B") and birth[0] < 1976:
            place = "20" + place[2:]
        stem = f"{digit}{year:02d}{birth[1]:02d}{place}"
        used = self._used.get(stem, 0)
        self._used[stem] = used + 1
        if used >= 999:
            overflow, used = divmod(used, 999)
            month = birth[1] + (20 if overflow == 1 else 38 + 12 * (overflow - 1))
            stem = f"{digit}{year:02d}{month:02d}{place}"
        thirteen = f"{stem}{999 - used:03d}"
        return thirteen + nir_key(thirteen)


def nir_key(thirteen: str) -> str:
    """The two-digit key of a NIR: 97 less the remainder by 97 (2A counts as 19, 2B as 18)."""
    return f"{97 - int(thirteen.replace('2A', '19', 1).replace('2B', '18', 1)) % 97:02d}"


def lineages(rng: random.Random, profile: Profile) -> Iterator[list[Person]]:
    """Endless lineages; each list holds the patients among its members, relatives near each other."""
    registry = Registry()
    recent: deque[Person] = deque(maxlen=20_000)
    while True:
        maker = _Lineage(rng, profile, registry)
        patients = maker.make()
        for person in patients:
            if recent and rng.random() < profile.homonym:
                _make_homonym(rng, profile, registry, person, recent[int(rng.random() * len(recent))])
        recent.extend(patients)
        if patients:
            yield patients


def _make_homonym(rng: random.Random, profile: Profile, registry: Registry, person: Person, other: Person) -> None:
    """Give a person the name, sex and birth date of an unrelated one, rarely the birthplace too."""
    person.homonym_of = other.number
    person.surname, person.sex, person.birth = other.surname, other.sex, other.birth
    seconds = tuple(given_name(rng, other.sex, other.birth[0] - 30) for _ in other.given[1:])
    person.given = (other.given[0], *seconds)
    person.used_given = ""
    if rng.random() < profile.homonym_place:
        person.place = other.place
    person.nir = registry.nir(person.sex, person.birth, person.place)


class _Lineage:
    """Builds one lineage."""

    def __init__(self, rng: random.Random, profile: Profile, registry: Registry) -> None:
        self.rng, self.profile, self.registry = rng, profile, registry
        registry.families += 1
        self.family = registry.families
        self.patients: list[Person] = []

    def make(self) -> list[Person]:
        """Four generations at most, from a couple born between 1915 and 2002."""
        rng = self.rng
        home = residences().pick(rng)
        year = 1912 + int(90 * rng.random() ** 0.9)
        head = self._adult("M" if rng.random() < 0.5 else "F", year, home, self._local_surname(home))
        if rng.random() < 0.72:
            self._household(head, home)
        else:
            self._settle([head], new_address(rng, home))
        return self.patients

    def _local_surname(self, home: Commune) -> str:
        """Surnames gather in villages: a fifth of families bear one of their commune's local names."""
        rng = self.rng
        if rng.random() < 0.2:
            rank = int((30 + home.population // 60) * rng.random() ** 1.5)
            return surname(random.Random(f"{home.code}/{rank}"))
        return surname(rng)

    def _adult(self, sex: str, year: int, home: Commune, name: str) -> Person:
        """An adult without known parents, French-born or not."""
        rng = self.rng
        birth = self._birth_date(year)
        if rng.random() < 0.11:
            return self._foreign_born(sex, birth, home)
        return self._person(sex, name, birth, birth_place(rng, home, year), home)

    def _foreign_born(self, sex: str, birth: Date, home: Commune) -> Person:
        rng = self.rng
        origin: Origin = _ORIGIN.pick(rng)
        names = origin.men if sex == "M" else origin.women
        given = names[int(rng.random() ** 1.4 * len(names))]
        name = origin.surnames[int(rng.random() * len(origin.surnames))]
        place = origin.countries[int(rng.random() * len(origin.countries))]
        default = rng.random() < self.profile.default_date * origin.defaults * (1.6 if birth[0] < 1965 else 0.7)
        if default:
            birth = (birth[0], 12, 31) if rng.random() < 0.55 else (birth[0], 1, 1)
        person = self._person(sex, name, birth, place, home, given=(given,))
        person.default_date = default
        return person

    def _person(
        self, sex: str, name: str, birth: Date, place: str, home: Commune, *, given: tuple[str, ...] = ()
    ) -> Person:
        rng = self.rng
        if not given:
            given = self._given_names(sex, birth[0])
        person = Person(self.registry.number(), self.family, sex, name, given, birth, place, home)
        person.nir = self.registry.nir(sex, birth, place)
        if len(given) > 1 and rng.random() < (0.07 if birth[0] < 1950 else 0.025):
            person.used_given = given[1]
        if rng.random() < (0.25 if birth[0] < 1950 else 0.9 if birth[0] < 2012 else 0.0):
            person.mobile = mobile(rng)
        if person.mobile and rng.random() < 0.55:
            tag = f"{person.number % 1000:03d}" if rng.random() < 0.6 else ""
            local = fold(f"{given[0]}.{name}{tag}").lower().replace(" ", "").replace("'", "")
            person.email = f"{local}@example.{'fr' if rng.random() < 0.7 else 'org'}"
        return person

    def _given_names(self, sex: str, year: int) -> tuple[str, ...]:
        """One to four civil given names; the further ones are of an older fashion."""
        rng = self.rng
        draw = rng.random()
        further = 0 if draw < 0.2 else 1 if draw < 0.5 else 2 if draw < 0.9 else 3
        return (
            given_name(rng, sex, year),
            *(given_name(rng, sex, year - 25 - int(rng.random() * 30)) for _ in range(further)),
        )

    def _birth_date(self, year: int) -> Date:
        month = int(self.rng.random() * 12)
        return year, month + 1, 1 + int(self.rng.random() * _MONTH_DAYS[month])

    def _household(self, head: Person, home: Commune) -> None:
        """A couple with children at home or with households of their own."""
        rng = self.rng
        partner_sex = "F" if head.sex == "M" else "M"
        partner_year = max(1912, min(head.birth[0] + int(rng.gauss(2 if head.sex == "M" else -2, 4)), 2005))
        partner = self._adult(partner_sex, partner_year, home, self._local_surname(home))
        head.spouse, partner.spouse = partner, head
        man, woman = (head, partner) if head.sex == "M" else (partner, head)
        if rng.random() < 0.85 - 0.006 * max(0, woman.birth[0] - 1940):
            self._marry(man, woman)
        dwelling = new_address(rng, home)
        minors: list[Person] = []
        year = woman.birth[0] + 20 + int(abs(rng.gauss(0, 1)) * 6)
        wanted = _CHILDREN.pick(rng)
        children = 0
        while children < wanted and year < min(woman.birth[0] + 45, THIS_YEAR):
            siblings = self._delivery(man, woman, year, home)
            children += len(siblings)
            year += 1 + int(rng.random() * 4)
            for child in siblings:
                age = THIS_YEAR - child.birth[0]
                if age < 22 + rng.random() * 6:
                    minors.append(child)
                else:
                    self._leave_home(child, home, dwelling)
        self._settle([man, woman, *minors], dwelling)

    def _marry(self, man: Person, woman: Person) -> None:
        """Usage of the spouse's name: most women, fewer of the young; a few men."""
        rng = self.rng
        young = woman.birth[0] > 1975
        draw = rng.random()
        if draw < (0.56 if young else 0.86):
            woman.used_surname = man.surname
        elif draw < (0.69 if young else 0.92):
            both = (woman.surname, man.surname) if rng.random() < 0.5 else (man.surname, woman.surname)
            woman.used_surname = "-".join(both)
        if rng.random() < 0.015:
            man.used_surname = f"{man.surname}-{woman.surname}"

    def _delivery(self, man: Person, woman: Person, year: int, home: Commune) -> list[Person]:
        """One birth, or two or three children at once."""
        rng, profile = self.rng, self.profile
        birth = self._birth_date(year)
        place = birth_place(rng, home, year)
        name = self._child_surname(man, woman, year)
        multiple = rng.random() < profile.multiple_birth
        count = 1 if not multiple else 3 if rng.random() < 0.02 else 2
        children: list[Person] = []
        first_sex = "M" if rng.random() < 0.512 else "F"
        close = multiple and rng.random() < profile.close_twin_names
        if multiple:
            self.registry.deliveries += 1
        for rank in range(1, count + 1):
            same_sex = rank > 1 and (close or rng.random() < 0.65)
            sex = first_sex if rank == 1 or same_sex else ("F" if first_sex == "M" else "M")
            given = self._child_given_names(man, woman, sex, year)
            if close and rank > 1:
                given = (self._close_name(children[0].given[0], sex, year), *given[1:])
            taken = {spoken(child.given[0]) for child in children}
            while spoken(given[0]) in taken:
                given = (given_name(rng, sex, year), *given[1:])
            child = self._person(sex, name, birth, place, home, given=given)
            child.father, child.mother = man, woman
            if multiple:
                child.delivery, child.birth_rank = self.registry.deliveries, rank
            children.append(child)
        return children

    def _child_surname(self, man: Person, woman: Person, year: int) -> str:
        rng = self.rng
        draw = rng.random()
        if year < 2005 or draw < 0.83:
            return man.surname if draw > 0.02 else woman.surname
        if draw < 0.9:
            return woman.surname
        pair = (man.surname, woman.surname) if rng.random() < 0.8 else (woman.surname, man.surname)
        return (" " if rng.random() < 0.8 else "-").join(part.split("-")[0] for part in pair)

    def _child_given_names(self, man: Person, woman: Person, sex: str, year: int) -> tuple[str, ...]:
        rng, profile = self.rng, self.profile
        given = self._given_names(sex, year)
        parent = man if sex == "M" else woman
        chance = profile.same_name_parent * (1 if sex == "M" else 0.33) * (1 if year < 1990 else 0.4)
        if rng.random() < chance:
            return (parent.given[0], *given[1:])
        if len(given) > 1 and rng.random() < 0.3:
            return (given[0], parent.given[0], *given[2:])
        return given

    def _close_name(self, name: str, sex: str, year: int) -> str:
        """A first name that resembles a twin's: one first part, one beginning or one ending."""
        groups = close_given_names(sex, year // 10 * 10)
        key = f"{name.split('-', maxsplit=1)[0]}-" if "-" in name else name[:3]
        options = groups.get(key) or groups.get("*" + name[-4:]) or [given_name(self.rng, sex, year)]
        return options[int(self.rng.random() * len(options))]

    def _leave_home(self, child: Person, home: Commune, dwelling: Address) -> None:
        """A grown child founds a household, here or elsewhere; some files keep the old address."""
        rng = self.rng
        child.addresses.append(dwelling)
        place = home if rng.random() < 0.4 else near(rng, home)
        child.home = place
        if rng.random() < 0.55 and self.registry.people and child.birth[0] < 2000:
            self._household(child, place)
        else:
            self._settle([child], new_address(rng, place))

    def _settle(self, members: list[Person], dwelling: Address) -> None:
        """Give a household its present dwelling, sometimes with an earlier one, and keep its patients."""
        rng = self.rng
        earlier: Address | None = None
        if rng.random() < 0.4:
            earlier = new_address(rng, members[0].home if rng.random() < 0.5 else near(rng, members[0].home))
        moved_in = THIS_YEAR - int(22 * rng.random() ** 1.3)
        for person in members:
            person.moved_in = moved_in
            if earlier is not None and not person.addresses:
                person.addresses.append(earlier)
            person.addresses.append(dwelling)
            age = THIS_YEAR - person.birth[0]
            remembered = age < 88 or rng.random() < 0.97 ** ((age - 88) * 2)
            if remembered and (rng.random() < _patient_share(age) or (person.delivery and rng.random() < 0.1)):
                self.patients.append(person)


_CHILDREN: Weighted[int] = Weighted([(0, 0.16), (1, 0.2), (2, 0.36), (3, 0.18), (4, 0.07), (5, 0.03)])
