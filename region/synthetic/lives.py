"""The lives that fill the region: ordinary ones, and those that patient indexes get wrong."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from ihe.values import PartialDate
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from region.synthetic.chronicle import Chronicle
from region.synthetic.civil_status import INS_NIA, INS_NIR, Person, Registrar
from region.synthetic.writing import HANDS, write_down

_SITES = {
    "CHUSE": 30, "ROANNE": 14, "GIER": 9, "MONTBRISON": 8, "FIRMINY": 8, "ANNONAY": 8, "MFL": 7, "FEURS": 6, "ICL": 6,
    "IRMAS": 4,
}  # fmt: skip
"""How often each is visited."""

_MATERNITIES = ("CHUSE", "ROANNE", "FIRMINY", "MONTBRISON", "ANNONAY", "GIER")
_VISITS: Sequence[tuple[str, ...]] = (
    ("A04",), ("A01", "A03"), ("A05", "A04"), ("A01", "A02", "A03"), ("A01", "A11"), ("A01", "Z99", "A03"),
    ("A01", "A03", "A13", "A03"),
)  # fmt: skip
_VISIT_WEIGHTS = (40, 36, 8, 6, 3, 5, 2)


def live_as_residents(registrar: Registrar, chronicle: Chronicle, rng: random.Random, *, until: int) -> None:
    """Ordinary persons, until so many are registered."""
    while registrar.registered < until:
        person = registrar.resident()
        _visit_sites(person, _some_sites(rng, rng.choices((1, 2, 3, 4, 5), (20, 33, 25, 14, 8))[0]), chronicle, rng)


def live_through_hard_cases(registrar: Registrar, chronicle: Chronicle, rng: random.Random, *, count: int) -> None:
    """Persons that are taken for one another, or that nobody knows.

    Args:
        count: about how many of each kind, at least 1.
    """
    for _ in range(count + 2):
        _live_together(registrar.twins(), chronicle, rng)
    for _ in range(count):
        _live_together(registrar.homonyms(), chronicle, rng)
        _live_together(registrar.namesakes(), chronicle, rng)
        mother, *children = registrar.birth(children=1)
        _be_born(mother, children, chronicle, rng)
        _be_hidden(replace(registrar.resident(), role="hidden"), chronicle, rng)
        _be_doubted(replace(registrar.resident(), role="doubtful"), chronicle, rng)
    for _ in range(max(1, count // 3)):
        mother, *children = registrar.birth(children=2)
        _be_born(mother, children, chronicle, rng)
        _be_anonymous(registrar.stranger("anonymous"), chronicle, rng)
        _be_unknown(registrar.stranger("unknown"), chronicle, rng)
        _be_fictitious(registrar.stranger("fictitious"), chronicle, rng)


def _visit_sites(person: Person, sites: Sequence[str], chronicle: Chronicle, rng: random.Random) -> None:
    opposed = rng.random() < 0.015
    for site in sites:
        key = _first_visit(person, site, chronicle, rng, opposed=opposed)
        if rng.random() < 0.06:
            moved = replace(chronicle.traits(key), address=f"{rng.randint(1, 99)} rue du 11-Novembre", phone=None)
            chronicle.update(key, moved)
        if rng.random() < 0.35:
            chronicle.stay(key, *rng.choices(_VISITS, _VISIT_WEIGHTS)[0])
        if rng.random() < 0.01 and person.birth_date.year < 1945:
            chronicle.update(key, replace(chronicle.traits(key), death_date=PartialDate(2026, 1, rng.randint(6, 20))))
        if rng.random() < 0.03:
            _be_recorded_twice(person, key, chronicle, rng)
        elif rng.random() < 0.012:
            chronicle.renumber(key)


def _first_visit(person: Person, site: str, chronicle: Chronicle, rng: random.Random, *, opposed: bool) -> RecordKey:
    status = _status(person, rng)
    traits = write_down(person, site, status, rng)
    if status is IdentityStatus.PROV and person.ins and rng.random() < 0.05:  # retrieved from INSi, not yet checked
        traits = replace(traits, ins=person.ins, ins_oid=INS_NIR, identity_status=IdentityStatus.RECUP)
    waiting = status is IdentityStatus.QUAL and person.born_abroad and rng.random() < 0.4
    if waiting:  # the national number still waits for the civil status
        traits = replace(traits, ins_oid=INS_NIA)
    trigger = rng.choices(("A28", "A04", "A01"), (90, 7, 3))[0]
    key = chronicle.create(person, site, traits, trigger=trigger, opposed=opposed)
    if waiting:
        chronicle.update(key, replace(traits, ins_oid=INS_NIR))
    if status is IdentityStatus.PROV and rng.random() < 0.2:
        _be_checked(person, key, chronicle, rng)
    return key


def _be_checked(person: Person, key: RecordKey, chronicle: Chronicle, rng: random.Random) -> None:
    """The identity is checked on a document, and qualified if the person has an INS; mistakes disappear."""
    before = chronicle.traits(key)
    status = IdentityStatus.QUAL if person.ins else IdentityStatus.VALI
    now = write_down(person, key.domain, status, rng)
    chronicle.update(
        key, replace(now, address=before.address, postal_code=before.postal_code, city=before.city, phone=before.phone)
    )
    if rng.random() < 0.15:
        chronicle.report_late(key, "A01", before)


def _be_recorded_twice(person: Person, key: RecordKey, chronicle: Chronicle, rng: random.Random) -> None:
    """The site makes a second record and, four times in five, finds out."""
    second = chronicle.create(person, key.domain, write_down(person, key.domain, IdentityStatus.PROV, rng))
    if rng.random() < 0.8:
        chronicle.merge(key, second)


def _live_together(persons: tuple[Person, Person], chronicle: Chronicle, rng: random.Random) -> None:
    """Two persons, easily taken for one another, known at the same sites for a part."""
    sites = _some_sites(rng, 4)
    _visit_sites(persons[0], sites[:3], chronicle, rng)
    _visit_sites(persons[1], sites[1 : rng.randint(3, 4)], chronicle, rng)


def _be_born(mother: Person, children: Sequence[Person], chronicle: Chronicle, rng: random.Random) -> None:
    """A birth: the child is recorded without a name, named days later, and perhaps known elsewhere under the name."""
    site = rng.choice(_MATERNITIES)
    _visit_sites(mother, (site,), chronicle, rng)
    write = HANDS[site].write
    for child in children:
        nameless = Traits(
            birth_family_name=write(mother.family_name),
            first_birth_given_name="BEBE" if rng.random() < 0.6 else "FILLE" if child.sex is Sex.FEMALE else "GARCON",
            sex=child.sex,
            birth_date=PartialDate(child.birth_date.year, child.birth_date.month, child.birth_date.day),
            birth_place_code=child.birth_place if rng.random() < 0.5 else None,
            address=child.street,
            postal_code=child.postal_code,
            city=child.city,
            phone=child.phone,
            identity_status=IdentityStatus.PROV,
            mother_family_name=write(mother.family_name),
            multiple_birth=True if child.birth_rank else None,
            birth_order=child.birth_rank,
        )
        key = chronicle.create(child, site, nameless, after_days=rng.uniform(0, 8))
        if rng.random() < 0.2:
            continue
        chronicle.update(key, replace(write_down(child, site, IdentityStatus.VALI, rng), phone=child.phone))
        if rng.random() < 0.6:
            _visit_sites(child, _some_sites(rng, 2, without=site), chronicle, rng)


def _be_hidden(person: Person, chronicle: Chronicle, rng: random.Random) -> None:
    """A patient asks to be hidden; the identity stays true but provisional."""
    for site in _some_sites(rng, 2):
        traits = write_down(person, site, IdentityStatus.VALI, rng)
        key = chronicle.create(person, site, traits)
        hidden = replace(traits, identity_status=IdentityStatus.PROV, identity_attributes=frozenset({"CACH"}))
        chronicle.update(key, hidden)


def _be_doubted(person: Person, chronicle: Chronicle, rng: random.Random) -> None:
    """A card is suspected to be another's; the doubt is lifted at one site and stays at the other."""
    for site, lifted in zip(_some_sites(rng, 2), (True, False), strict=True):
        traits = write_down(person, site, IdentityStatus.VALI, rng)
        key = chronicle.create(person, site, traits)
        doubtful = replace(traits, identity_status=IdentityStatus.PROV, identity_attributes=frozenset({"DOUT"}))
        chronicle.update(key, doubtful)
        if lifted:
            chronicle.update(key, traits)


def _be_anonymous(person: Person, chronicle: Chronicle, rng: random.Random) -> None:
    """A patient under a code name, as the law allows for some stays."""
    site = rng.choice(_MATERNITIES)
    code_name = Traits(
        birth_family_name="ANONYME",
        first_birth_given_name=rng.choice(("PATIENTUN", "PATIENTDEUX", "PATIENTTROIS")),
        sex=person.sex,
        birth_date=PartialDate(person.birth_date.year, 1, 1),
        identity_status=IdentityStatus.PROV,
        identity_attributes=frozenset({"ANOM"}),
    )
    chronicle.stay(chronicle.create(person, site, code_name, trigger="A01"), "A03")


def _be_unknown(person: Person, chronicle: Chronicle, rng: random.Random) -> None:
    """Brought unconscious to an emergency room, and never identified."""
    nobody = Traits(
        birth_family_name=rng.choice(("INCONNU", "X")),
        first_birth_given_name="X",
        sex=person.sex,
        birth_date=PartialDate(person.birth_date.year // 10 * 10, 12, 31),
        birth_date_interpreted=True,
        identity_status=IdentityStatus.PROV,
    )
    chronicle.create(person, rng.choice(("CHUSE", "ROANNE")), nobody, trigger="A04")


def _be_fictitious(person: Person, chronicle: Chronicle, rng: random.Random) -> None:
    """A patient that an information system was tested with."""
    test = Traits(
        birth_family_name="TEST",
        first_birth_given_name="PATIENT",
        sex=person.sex,
        birth_date=PartialDate(1970, 1, 1),
        birth_place_code="42218",
        identity_status=IdentityStatus.PROV,
        identity_attributes=frozenset({"FICT"}),
    )
    chronicle.create(person, rng.choice(tuple(_SITES)), test)


def _status(person: Person, rng: random.Random) -> IdentityStatus:
    draw = rng.random()
    if person.ins and draw < 0.55:
        return IdentityStatus.QUAL
    return IdentityStatus.VALI if draw < (0.67 if person.ins else 0.45) else IdentityStatus.PROV


def _some_sites(rng: random.Random, count: int, *, without: str | None = None) -> list[str]:
    """Different sites, drawn by how often they are visited."""
    weights = {site: weight for site, weight in _SITES.items() if site != without}
    drawn: list[str] = []
    while len(drawn) < count:
        site = rng.choices(tuple(weights), tuple(weights.values()))[0]
        del weights[site]
        drawn.append(site)
    return drawn
