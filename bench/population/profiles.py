"""How difficult a population is: every rate of error and of look-alikes, in one table for each profile.

Rates are probabilities for one record unless the name says another base. The profiles were calibrated so
that Splink, used as its documentation advises, reaches a best pairwise F1 near 0.988 on ``realistic``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Profile:
    """Rates of one difficulty.

    Attributes:
        name: ``easy``, ``realistic`` or ``hard``.
        noise: multiplies every typing error (names, dates, places, sex); 1 is realistic.
        missing: multiplies each site's share of empty fields.
        qualified: multiplies each site's share of qualified identities.
        in_site_duplicate: chance that a record of a site has a doublon in the same site.
        same_name_parent: share of sons who bear their father's whole first name (daughters: a third of it).
        multiple_birth: share of deliveries that are multiple.
        close_twin_names: share of multiple births whose first names resemble each other.
        homonym: persons injected with the name, sex and birth date of an unrelated one.
        homonym_place: share of injected homonyms born in the same commune, too.
        newborn_record: share of persons born since 2008 with a record written at birth.
        newborn_placeholder: share of records written at birth that have a placeholder as first name.
        married_name_as_birth: records of the married that hold the used name as birth name.
        used_given_as_first: records that hold the used given name as first name, for persons who use another.
        crossed_names: family and given names exchanged.
        default_date: foreign-born persons whose registered date is 31/12 or 01/01.
        default_date_record: records with a default day and month although the date is known.
        partial_date: records with only year, or year and month.
        wrong_ins: INS-bearing records that hold the matricule of a relative.
        overlay: records overwritten by another person.
        test_ins: records that hold the national test identity's matricule under the TEST OID.
    """

    name: str
    noise: float = 1.0
    missing: float = 1.0
    qualified: float = 1.0
    in_site_duplicate: float = 0.025
    same_name_parent: float = 0.012
    multiple_birth: float = 1 / 60
    close_twin_names: float = 0.3
    homonym: float = 0.0004
    homonym_place: float = 0.1
    newborn_record: float = 0.4
    newborn_placeholder: float = 0.07
    married_name_as_birth: float = 0.04
    used_given_as_first: float = 0.15
    crossed_names: float = 0.003
    default_date: float = 0.08
    default_date_record: float = 0.002
    partial_date: float = 0.002
    wrong_ins: float = 0.001
    overlay: float = 0.0004
    test_ins: float = 0.00005


REALISTIC = Profile("realistic")

EASY = replace(
    REALISTIC,
    name="easy",
    noise=0.3,
    missing=0.4,
    qualified=1.3,
    in_site_duplicate=0.01,
    close_twin_names=0.15,
    homonym=0.0001,
    homonym_place=0.02,
    newborn_placeholder=0.01,
    married_name_as_birth=0.008,
    used_given_as_first=0.05,
    crossed_names=0.0005,
    default_date=0.04,
    default_date_record=0.0003,
    partial_date=0.0003,
    wrong_ins=0.0001,
    overlay=0.0001,
)

HARD = replace(
    REALISTIC,
    name="hard",
    noise=3.5,
    missing=1.9,
    qualified=0.5,
    in_site_duplicate=0.05,
    same_name_parent=0.02,
    close_twin_names=0.45,
    homonym=0.0016,
    homonym_place=0.2,
    newborn_placeholder=0.25,
    married_name_as_birth=0.1,
    used_given_as_first=0.3,
    crossed_names=0.01,
    default_date=0.15,
    default_date_record=0.008,
    partial_date=0.01,
    wrong_ins=0.004,
    overlay=0.0015,
    test_ins=0.0002,
)

PROFILES = {profile.name: profile for profile in (EASY, REALISTIC, HARD)}
