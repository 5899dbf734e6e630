"""Imaging studies of the invented region, each done at a site of a patient that the site knows."""

from __future__ import annotations

import random
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from importlib import resources
from typing import Any, Final

from ihe.values import AssigningAuthority, Code
from mpi.domain.identity import RecordKey, Sex, Traits
from region.region_table import Domain
from region.synthetic.civil_status import INS_NIR, TODAY, Person
from region.synthetic.truth import RecordTruth
from xds.domain.imaging import ImagingSeries, ImagingStudy, Instance, IssuedId, Manifest, ManifestPatient

ZONE: Final = timezone(timedelta(hours=1))
"""The invented region keeps winter time all year."""

LOINC: Final = "2.16.840.1.113883.6.1"
SNOMED_CT: Final = "2.16.840.1.113883.6.96"
DICOM_CODES: Final = "1.2.840.10008.2.16.4"

_SOP_CLASS_ROOT = "1.2.840.10008.5.1.4.1.1."
_WITHOUT_STUDIES = frozenset({"unknown", "fictitious"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One imaging study and the patient as the site knew them.

    Attributes:
        key: the site and its number of the patient.
        person: number of the true patient.
        traits: the identity at the site.
        accession: accession number, unique at the site only.
        started_at, ended_at: aware times.
        procedure: LOINC code with its French name.
        modality: DICOM code with its French name.
        region: SNOMED CT code with its French name.
        has_report: whether a report is registered with it.
        manifest_uid, manifest_series_uid: UIDs of its key object selection document.
    """

    key: RecordKey
    person: int
    traits: Traits
    uid: str
    accession: str
    started_at: datetime
    ended_at: datetime
    procedure: Code
    modality: Code
    region: Code
    series: tuple[ImagingSeries, ...]
    has_report: bool
    manifest_uid: str
    manifest_series_uid: str

    @property
    def site(self) -> str:
        """Domain code of the site."""
        return self.key.domain


def manifest_of(study: Study, site: Domain) -> Manifest:
    """The key object manifest that the site publishes for a study.

    The patient is named by the INS when the site may use it, else by the local number; the other follows.
    """
    traits = study.traits
    ids = [IssuedId(study.key.local_id, site.authority)]
    if traits.has_qualified_ins and traits.ins:
        ids.insert(0, IssuedId(traits.ins, AssigningAuthority("ASIP-SANTE-INS-NIR", INS_NIR)))
    born = traits.birth_date
    return Manifest(
        uid=study.manifest_uid,
        series_uid=study.manifest_series_uid,
        study_uid=study.uid,
        patient=ManifestPatient(
            ids=tuple(ids),
            name=f"{traits.birth_family_name}^{traits.first_birth_given_name}",
            birth_date=born.first_day() if born and born.is_full else None,
            sex=traits.sex.value if traits.sex else None,
        ),
        studies=(
            ImagingStudy(
                uid=study.uid,
                series=study.series,
                date=study.started_at.date(),
                time=study.started_at.time(),
                description=study.procedure.display,
                accessions=(IssuedId(study.accession, AssigningAuthority(oid=site.accession_authority)),),
                regions=(study.region,),
            ),
        ),
        created_at=study.ended_at,
        utc_offset_minutes=60,
        institution=site.name,
        manufacturer="Synthetic",
    )


def make_studies(
    records: Mapping[RecordKey, RecordTruth],
    persons: Mapping[int, Person],
    sites: Mapping[str, Domain],
    rng: random.Random,
    *,
    count: int,
    always: Mapping[RecordKey, int],
) -> tuple[Study, ...]:
    """Studies of patients drawn among the active records, in time order.

    Args:
        count: how many besides those of ``always``.
        always: how many studies certain records get for sure, and no others.
    """
    candidates = [
        key
        for key, record in records.items()
        if record.merged_into is None
        and key not in always
        and persons[record.person].role not in _WITHOUT_STUDIES
        and (persons[record.person].birth_date.year < TODAY.year - 1)
    ]
    wanted = [key for key, number in always.items() for _ in range(number)]
    wanted += rng.choices(candidates, k=count)
    studies = [_study(key, records[key], persons[records[key].person], sites[key.domain], rng) for key in wanted]
    return tuple(sorted(studies, key=lambda study: (study.started_at, study.uid)))


def _study(key: RecordKey, record: RecordTruth, person: Person, site: Domain, rng: random.Random) -> Study:
    procedure = rng.choice([row for row in _CATALOGUE["procedures"] if _is_possible(row, key.domain, person)])
    earliest = max(person.birth_date + timedelta(days=30), TODAY - timedelta(days=8 * 365))
    day = earliest + timedelta(days=rng.randrange((TODAY - earliest).days))
    started = datetime.combine(day, time(rng.randint(7, 19), rng.randrange(60)), ZONE)
    uid = _uid(rng)
    return Study(
        key=key,
        person=record.person,
        traits=record.traits,
        uid=uid,
        accession=f"{day:%y}{rng.randrange(1_000_000):06d}",
        started_at=started,
        ended_at=started + timedelta(minutes=rng.randint(8, 45)),
        procedure=Code(procedure["code"], LOINC, procedure["name"]),
        modality=Code(procedure["modality"], DICOM_CODES, _CATALOGUE["modalities"][procedure["modality"]]),
        region=Code(procedure["region"], SNOMED_CT, _CATALOGUE["regions"][procedure["region"]]),
        series=tuple(_series(procedure, uid, site, rng)),
        has_report=rng.random() < 0.65,
        manifest_uid=_uid(rng),
        manifest_series_uid=_uid(rng),
    )


def _series(procedure: Mapping[str, Any], study_uid: str, site: Domain, rng: random.Random) -> Iterator[ImagingSeries]:
    for description, sop_class, fewest, most in procedure["series"]:
        uid = _uid(rng)
        yield ImagingSeries(
            uid=uid,
            instances=tuple(
                Instance(_SOP_CLASS_ROOT + sop_class, f"{uid}.{number}")
                for number in range(1, rng.randint(fewest, most) + 1)
            ),
            description=description,
            retrieve_url=f"{site.pacs_url}/studies/{study_uid}/series/{uid}",
            retrieve_location_uid=site.imaging_source_id,
        )


def _is_possible(procedure: Mapping[str, Any], site: str, person: Person) -> bool:
    return procedure["modality"] in _CATALOGUE["equipment"][site] and procedure.get("sex") in (
        None,
        person.sex.value if person.birth_date.year < TODAY.year - 45 else Sex.UNKNOWN,
    )


def _uid(rng: random.Random) -> str:
    """A UID from a random UUID (Source: DICOM PS3.5 B.2)."""
    return f"2.25.{uuid.UUID(int=rng.getrandbits(128), version=4).int}"


_CATALOGUE: Final[dict[str, Any]] = tomllib.loads(
    resources.files(__package__).joinpath("procedures.toml").read_text(encoding="utf-8")
)
