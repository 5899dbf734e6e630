"""What the ten establishments write of a person: their habits, their age, and their errors."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache

from bench.population.errors import typo, wrong_date
from bench.population.origins import NICKNAMES, VARIANTS
from bench.population.people import THIS_YEAR, Person, nir_key
from bench.population.places import SITES, Site, city_of, current_code, nearest_site
from bench.population.profiles import Profile
from bench.population.tables import Weighted, fold, given_name, surname

CSV_COLUMNS = (
    "domain",
    "local_id",
    "birth_family_name",
    "birth_given_names",
    "first_birth_given_name",
    "used_family_name",
    "used_given_name",
    "sex",
    "birth_date",
    "birth_place_code",
    "address",
    "postal_code",
    "city",
    "phone",
    "email",
    "ins",
    "ins_oid",
    "identity_status",
    "identity_attributes",
    "source_updated_at",
)
INS_NIR_OID = "1.2.250.1.213.1.4.8"
INS_TEST_OID = "1.2.250.1.213.1.4.10"
INS_TEST = "279035121518989"

_SITE_BY_CODE = {site.code: site for site in SITES}
_SITE_BY_SIZE: Weighted[Site] = Weighted((site, site.size) for site in SITES)
_MATERNITY_SITES = ("CHUSE", "CHUSE", "FIRMINY", "MONTBRISON", "ROANNE", "GIER", "ANNONAY")
_VISITS: Weighted[int] = Weighted([(1, 0.3), (2, 0.3), (3, 0.2), (4, 0.1), (5, 0.06), (6, 0.03), (7, 0.01)])
_NEWBORN_NAMES = ("BEBE", "BEBE", "NOUVEAU NE", "NOUVEAU-NE", "NN", "ENFANT", "X", "SANS PRENOM", "")
_TITLE_BREAKS = str.maketrans({"-": "- ", "'": "' "})


@dataclass(slots=True)
class Draft:
    """A record while it is written: right values, then habits and errors; ``kinds`` names what went wrong."""

    person: Person
    site: Site
    year: int
    surname: str
    given: list[str]
    used_surname: str
    used_given: str
    sex: str
    date: str
    place: str
    status: str = "PROV"
    ins: str = ""
    ins_oid: str = INS_NIR_OID
    address_of: Person | None = None
    kinds: list[str] = field(default_factory=list)


class Scribe:
    """Writes records of persons for one profile; numbers them within each site."""

    def __init__(self, rng: random.Random, profile: Profile) -> None:
        self.rng, self.profile = rng, profile
        self._serials = dict.fromkeys(_SITE_BY_CODE, 0)

    def records(self, person: Person) -> list[dict[str, str]]:
        """Every record that the establishments hold of one person."""
        rng, profile = self.rng, self.profile
        rows: list[dict[str, str]] = []
        seen: set[str] = set()
        if person.birth[0] >= 2008 and rng.random() < profile.newborn_record:
            maternity = _SITE_BY_CODE[_MATERNITY_SITES[int(rng.random() * len(_MATERNITY_SITES))]]
            seen.add(maternity.code)
            rows.append(self._row(self._newborn(person, maternity)))
        for _ in range(_VISITS.pick(rng)):
            site = _SITE_BY_CODE[nearest_site(person.addresses[-1].postal_code)]
            if site.code in seen or rng.random() < 0.25:
                site = _SITE_BY_SIZE.pick(rng)
            if site.code in seen and rng.random() > profile.in_site_duplicate * 6:
                continue
            seen.add(site.code)
            rows.append(self._row(self._draft(person, site)))
        return rows

    def overlay(self, row: dict[str, str], other: Person) -> dict[str, str]:
        """The row after another person was written over it: the new person's traits, the old contacts."""
        draft = self._draft(other, _SITE_BY_CODE[row["domain"]])
        draft.kinds.append("overlay")
        new = self._row(draft)
        kept: tuple[str, ...] = ("local_id", "address", "postal_code", "city", "phone", "email")
        if row["ins"] and self.rng.random() < 0.3:
            kept = (*kept, "ins", "ins_oid", "identity_status")
        return new | {column: row[column] for column in kept}

    def _draft(self, person: Person, site: Site) -> Draft:
        rng, profile = self.rng, self.profile
        youngest = max(2004, person.birth[0])
        year = youngest + int((THIS_YEAR + 1 - youngest) * rng.random() ** 0.6)
        draft = Draft(
            person,
            site,
            year,
            person.surname,
            list(person.given),
            person.used_surname if year - person.birth[0] > 20 else "",
            person.used_given,
            person.sex,
            "",
            person.place,
        )
        self._status(draft)
        checked = draft.status in ("QUAL", "VALI")
        noise = profile.noise * site.noise * (0.15 if draft.status == "QUAL" else 0.4 if checked else 1.25)
        self._name_errors(draft, noise)
        self._date_errors(draft, noise)
        self._place_habits(draft, noise)
        if rng.random() < 0.002 * noise:
            draft.sex = "U" if rng.random() < 0.4 else "M" if draft.sex == "F" else "F"
            draft.kinds.append("sex")
        return draft

    def _newborn(self, person: Person, site: Site) -> Draft:
        """A record written at birth: provisional, perhaps before the child has a name."""
        rng, profile = self.rng, self.profile
        draft = self._draft(person, site)
        draft.year, draft.used_surname, draft.used_given = person.birth[0], "", ""
        draft.status, draft.ins = "PROV", ""
        if rng.random() < profile.newborn_placeholder:
            name = _NEWBORN_NAMES[int(rng.random() * len(_NEWBORN_NAMES))]
            if person.birth_rank and name:
                name = f"{name} {person.birth_rank}"
            elif name == "BEBE" and rng.random() < 0.3:
                name = "FILLE" if person.sex == "F" else "GARCON"
            draft.given = [name] if name else []
            draft.kinds.append("newborn")
            mother = person.mother
            if mother is not None and rng.random() < 0.55:
                draft.surname = mother.surname if rng.random() < 0.6 else mother.used_surname or mother.surname
                if draft.surname != person.surname:
                    draft.kinds.append("mother_name")
        return draft

    def _status(self, draft: Draft) -> None:
        """Reliability by site and year: qualification began in 2021; few records have a matricule."""
        rng, profile, person = self.rng, self.profile, draft.person
        draw = rng.random()
        if draft.year >= 2021 and draw < draft.site.qualified * profile.qualified:
            draft.status = "QUAL"
        elif draft.year >= 2021 and draw < 0.62:
            draft.status = "RECUP" if rng.random() < 0.3 else "VALI"
        else:
            draft.status = "VALI" if draw > 0.82 else "VIDE" if draw < 0.1 else "PROV"
        if draft.status in ("QUAL", "RECUP"):
            draft.ins = person.nir
            relatives = [p for p in (person.mother, person.spouse, person.father) if p is not None]
            if relatives and rng.random() < profile.wrong_ins:
                draft.ins = relatives[int(rng.random() * len(relatives))].nir
                draft.kinds.append("wrong_ins")
        elif draft.status == "PROV" and rng.random() < 0.01:
            insured = person.mother if person.mother is not None and draft.year - person.birth[0] < 16 else person
            draft.ins = insured.nir
            if insured is not person:
                draft.kinds.append("insured_number")
        if draft.ins and rng.random() < 0.002 * profile.noise and draft.status != "QUAL":
            draft.ins = _wrong_digit(rng, draft.ins)
            draft.kinds.append("ins_digit")
        if rng.random() < profile.test_ins:
            draft.ins, draft.ins_oid, draft.status = INS_TEST, INS_TEST_OID, "QUAL"
            draft.kinds.append("test_ins")

    def _name_errors(self, draft: Draft, noise: float) -> None:
        rng, profile, person, kinds = self.rng, self.profile, draft.person, draft.kinds
        if person.used_given and rng.random() < profile.used_given_as_first * (noise > 0.3):
            draft.given = [person.used_given]
            kinds.append("used_given")
        habit = {"free": 1.5, "stic": 0.5, "rniv": 0.1}[draft.site.style]
        if draft.used_surname and rng.random() < profile.married_name_as_birth * habit:
            draft.surname, draft.used_surname = draft.used_surname, ""
            kinds.append("married_as_birth")
        if rng.random() < 0.017 * noise:
            draft.surname, kind = typo(rng, fold(draft.surname))
            kinds.append(f"surname_{kind}" if kind else "")
            if rng.random() < 0.12:
                draft.surname, _ = typo(rng, draft.surname)
        if draft.given and rng.random() < 0.015 * noise:
            draft.given[0], kind = typo(rng, fold(draft.given[0]))
            kinds.append(f"given_{kind}" if kind else "")
        elif draft.given and noise > 0.3:
            self._other_given(draft, noise)
        if (" " in draft.surname or "-" in draft.surname) and rng.random() < 0.06 * noise:
            self._other_compound(draft)
        if rng.random() < 0.00012 * noise:
            draft.given = [given_name(rng, draft.sex if draft.sex in "MF" else "M", person.birth[0])]
            kinds.append("given_other")
        if rng.random() < 0.0002 * noise:
            draft.surname = surname(rng)
            kinds.append("surname_other")
        if draft.given and rng.random() < profile.crossed_names * min(noise, 1.5):
            draft.surname, draft.given = draft.given[0], [draft.surname]
            kinds.append("crossed")

    def _other_given(self, draft: Draft, noise: float) -> None:
        """Another form of the first given name: a variant, a nickname, a part of a compound."""
        rng, name = self.rng, draft.given[0]
        if (variants := VARIANTS.get(name)) and rng.random() < 0.03 * noise:
            draft.given[0] = variants[int(rng.random() * len(variants))]
            draft.kinds.append("variant")
        elif (nicknames := NICKNAMES.get(name)) and rng.random() < 0.012 * noise:
            draft.given[0] = nicknames[int(rng.random() * len(nicknames))]
            draft.kinds.append("nickname")
        elif "-" in name and rng.random() < 0.05 * noise:
            first, _, last = name.partition("-")
            draft.given[0] = first if rng.random() < 0.7 else last
            draft.kinds.append("compound_part")
        elif "-" in name and rng.random() < 0.02 * noise:
            draft.given[0] = name.replace("-", "")
            draft.kinds.append("joined")

    def _other_compound(self, draft: Draft) -> None:
        """A part of a double surname left out or the parts exchanged; a particle joined or dropped."""
        rng = self.rng
        separator = "-" if "-" in draft.surname else " "
        parts = draft.surname.split(separator)
        if len(parts[0]) <= 3:
            draft.surname = "".join(parts) if rng.random() < 0.7 else separator.join(parts[1:])
            draft.kinds.append("particle")
        elif rng.random() < 0.75:
            draft.surname = parts[0] if rng.random() < 0.7 else parts[-1]
            draft.kinds.append("surname_part")
        else:
            draft.surname = separator.join(reversed(parts))
            draft.kinds.append("surname_order")

    def _date_errors(self, draft: Draft, noise: float) -> None:
        rng, profile = self.rng, self.profile
        date, person = draft.person.birth, draft.person
        if person.default_date and rng.random() < 0.2:
            date = (date[0], 1, 1) if date[1] == 12 else (date[0], 12, 31)
            draft.kinds.append("default_swap")
        elif rng.random() < profile.default_date_record * (5 if person.place.startswith("99") else 0.3):
            date = (date[0], 12, 31) if rng.random() < 0.5 else (date[0], 1, 1)
            draft.kinds.append("default_date")
        elif rng.random() < 0.011 * noise:
            date, kind = wrong_date(rng, date, draft.year)
            draft.kinds.append(f"date_{kind}" if kind else "")
        draft.date = f"{date[0]:04d}-{date[1]:02d}-{date[2]:02d}"
        if rng.random() < profile.partial_date * min(noise, 2) * (4 if person.default_date else 1):
            draft.date = draft.date[:4] if rng.random() < 0.7 else draft.date[:7]
            draft.kinds.append("partial_date")

    def _place_habits(self, draft: Draft, noise: float) -> None:
        rng, place = self.rng, draft.place
        if rng.random() < draft.site.no_place * self.profile.missing * (0.1 if draft.status == "QUAL" else 1):
            draft.place = ""
        elif rng.random() < 0.012 * noise:
            draft.place = draft.person.home.code
            draft.kinds.append("place_home")
        elif draft.status != "QUAL" and rng.random() < 0.5:
            draft.place = city_of(current_code(place))
            if place == "99352" and draft.person.birth[0] < 1962 and rng.random() < 0.3:
                draft.place = f"9{1 + draft.person.birth[2] % 4}352"
            elif place[:2] in ("2A", "2B") and draft.person.birth[0] < 1976:
                draft.place = "20" + place[2:]

    def _row(self, draft: Draft) -> dict[str, str]:
        rng, site, person, missing = self.rng, draft.site, draft.person, self.profile.missing
        moved = len(person.addresses) > 1 and draft.year < person.moved_in
        dwelling = person.addresses[-2 if moved else -1]
        no_address = rng.random() < site.no_address * missing
        no_phone = rng.random() < site.no_phone * missing
        phone = person.mobile if person.mobile and rng.random() < 0.75 else dwelling.phone
        given = [_styled(name, site.style) for name in draft.given]
        has_list = rng.random() >= site.no_list * missing and site.style != "stic"
        self._serials[site.code] += 1
        return {
            "domain": site.code,
            "local_id": site.number.format(n=self._serials[site.code]),
            "birth_family_name": _styled(draft.surname, site.style),
            "birth_given_names": " ".join(given if has_list or draft.status == "QUAL" else given[:1]),
            "first_birth_given_name": given[0] if given else "",
            "used_family_name": ""
            if rng.random() < site.no_used_name * missing
            else _styled(draft.used_surname, site.style),
            "used_given_name": _styled(draft.used_given, site.style) if rng.random() < 0.6 else "",
            "sex": draft.sex,
            "birth_date": draft.date,
            "birth_place_code": draft.place,
            "address": "" if no_address else _street(rng, dwelling.street, site.style),
            "postal_code": "" if no_address else dwelling.postal_code,
            "city": "" if no_address else _styled(dwelling.city, site.style),
            "phone": "" if no_phone else _phone(rng, phone, site.style),
            "email": person.email if rng.random() < 0.25 and draft.year >= 2012 else "",
            "ins": draft.ins,
            "ins_oid": draft.ins_oid if draft.ins else "",
            "identity_status": draft.status,
            "identity_attributes": "",
            "source_updated_at": _moment(rng, draft.year),
            "person": str(person.number),
            "family": str(person.family),
            "delivery": str(person.delivery or ""),
            "homonym_of": str(person.homonym_of or ""),
            "parents": " ".join(str(p.number) for p in (person.father, person.mother) if p is not None),
            "kinds": "|".join(kind for kind in draft.kinds if kind),
        }


def _moment(rng: random.Random, year: int) -> str:
    return f"{year}-{1 + int(rng.random() * 12):02d}-{1 + int(rng.random() * 28):02d}T08:00:00Z"


def _wrong_digit(rng: random.Random, nir: str) -> str:
    """A matricule with one wrong digit and, half of the time, the key that fits it."""
    at = 10 + int(rng.random() * 3)
    thirteen = nir[:at] + str((int(nir[at]) + 1 + int(rng.random() * 9)) % 10) + nir[at + 1 : 13]
    return thirteen + (nir_key(thirteen) if rng.random() < 0.5 else nir[13:])


@lru_cache(maxsize=1 << 17)
def _styled(text: str, style: str) -> str:
    """A name in a site's habit of writing."""
    if not text:
        return ""
    if style == "free":
        return text.translate(_TITLE_BREAKS).title().replace("- ", "-").replace("' ", "'")
    folded = fold(text)
    return folded.replace("-", " ").replace("'", " ") if style == "stic" else folded


_SHORT = (("AVENUE", "AV"), ("BOULEVARD", "BD"), ("CHEMIN", "CHE"), ("PLACE", "PL"), ("IMPASSE", "IMP"))


def _street(rng: random.Random, street: str, style: str) -> str:
    if rng.random() < 0.35:
        for long, short in _SHORT:
            street = street.replace(long, short)
    if style == "free":
        street = street.capitalize() if rng.random() < 0.5 else street.title()
    return street if rng.random() > 0.02 else typo(rng, street)[0]


def _phone(rng: random.Random, phone: str, style: str) -> str:
    if style == "free":
        return " ".join(phone[at : at + 2] for at in range(0, 10, 2))
    return f"+33{phone[1:]}" if rng.random() < 0.05 else phone
