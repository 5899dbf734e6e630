"""Patients in other communities: what is asked about one, what a community answers, and what is remembered of it.

Source: ITI TF-2: 3.55 (XCPD).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ihe.communities import Community
from ihe.values import Oid, PatientId
from mpi.domain.identity import Traits


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Whom other communities are asked about.

    Attributes:
        described: what is said of the patient.
        identifiers: by which the patient is named: of a patient known here the regional one first.
        record_id: the record (internal id) for which answers are remembered; ``None`` for a patient not known here.
    """

    described: Traits
    identifiers: tuple[PatientId, ...]
    record_id: int | None = None


@dataclass(frozen=True, slots=True)
class CommunityPatient:
    """A patient as a community knows it.

    Attributes:
        home: homeCommunityId of the community that has the patient's data.
        patient_id: by which that community is asked for them.
        quality: 0 to 100, how well the patient meets the description; ``None`` where it is not said.
    """

    home: Oid
    patient_id: PatientId
    traits: Traits
    quality: int | None = None


@dataclass(frozen=True, slots=True)
class CommunityAnswer:
    """What a community answered.

    Attributes:
        patients: whom it knows, the likeliest first; empty when nobody.
        requested: codes of what else should be said of the patient.
        locations: identifiers in further communities that it tells of (ITI-56), by their homeCommunityId.
        failure: why there is no answer; ``None`` when there is one.
        lifetime: how long the answer may be remembered; ``None`` for not at all.
    """

    community: Community
    patients: tuple[CommunityPatient, ...] = ()
    requested: tuple[str, ...] = ()
    locations: tuple[PatientLocation, ...] = ()
    failure: str | None = None
    lifetime: timedelta | None = None


@dataclass(frozen=True, slots=True)
class PatientLocation:
    """A community that has data of a patient, and the identifier by which it knows the patient."""

    home: Oid
    patient_id: PatientId


@dataclass(frozen=True, slots=True)
class Correlation:
    """A patient known here, as another community knows it.

    Attributes:
        expires_at: when it is forgotten.
    """

    record_id: int
    location: PatientLocation
    found_at: datetime
    expires_at: datetime
