"""What a viewer asks of the region's studies, and whether a study answers it.

A question names a patient, a study or an accession number: the region lists nobody's studies to one who names none.

Source: DICOM PS3.18 8.3.4, 10.6; PS3.4 C.2.2.2.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from datetime import date

from ihe.values import PatientId
from xds.domain.priors import PriorStudy


@dataclass(frozen=True, slots=True)
class DateRange:
    """Days from ``first`` to ``last``, both included; ``None`` leaves that side open."""

    first: date | None = None
    last: date | None = None

    def holds(self, day: date | None) -> bool:
        """Whether the day lies in it; an unknown day doesn't."""
        if day is None:
            return False
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """A search for studies.

    Attributes:
        patient_id: the asker's own number, or any other of the person; ``None`` when a study or accession is named.
        study_uids: any of them; empty: every study.
        accession_number: of whatever issuer, or ``None``.
        dates: study dates, or ``None``.
        modalities: any of them; empty: every modality.
        description: with ``*`` and ``?``, case ignored, or ``None``.
        offset, limit: the part of the answer that is wanted; ``None``: to its end.
    """

    patient_id: PatientId | None = None
    study_uids: frozenset[str] = frozenset()
    accession_number: str | None = None
    dates: DateRange | None = None
    modalities: frozenset[str] = frozenset()
    description: str | None = None
    offset: int = 0
    limit: int | None = None

    @property
    def names_something(self) -> bool:
        """Whether it names a patient, a study or an accession number."""
        return bool(self.patient_id or self.study_uids or self.accession_number)

    def matches(self, study: PriorStudy) -> bool:
        """Whether a study answers it; whose the study is, is not asked here."""
        facts = study.facts
        return (
            (not self.study_uids or study.uid in self.study_uids)
            and (
                self.accession_number is None
                or any(accession.value == self.accession_number for accession in facts.accessions)
            )
            and (self.dates is None or self.dates.holds(facts.date))
            and (not self.modalities or not self.modalities.isdisjoint(facts.modalities))
            and (self.description is None or _like(facts.description, self.description))
        )


def _like(text: str | None, pattern: str) -> bool:
    literal = pattern.casefold().replace("[", "[[]")
    return fnmatch.fnmatchcase((text or "").casefold(), literal)
