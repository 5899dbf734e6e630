"""What a search looks for. Every condition must hold; an empty condition does not narrow.

Codes are written ``code^^scheme``; times are numbers ``YYYYMMDDhhmmss``, lower bounds inclusive, upper bounds
exclusive; statuses are ``Approved`` and ``Deprecated``. Texts marked as patterns may hold ``%`` (any text) and ``_``
(any character).

Source: ITI TF-2: 3.18.4.1.2.3.7.
"""

from __future__ import annotations

from dataclasses import dataclass

Groups = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Period:
    """Bounds of a time; ``None`` is open."""

    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentCriteria:
    """Conditions on document entries.

    Attributes:
        on_demand: ``False`` stable entries only, ``True`` on-demand only, ``None`` both.
        creation_time: not looked at in on-demand entries.
        event_codes, confidentiality_codes: each group is a list of alternatives.
        reference_ids: as these, of patterns.
        author_persons: alternatives, patterns.
    """

    statuses: tuple[str, ...] = ("Approved",)
    on_demand: bool | None = False
    class_codes: tuple[str, ...] = ()
    type_codes: tuple[str, ...] = ()
    format_codes: tuple[str, ...] = ()
    practice_setting_codes: tuple[str, ...] = ()
    healthcare_facility_type_codes: tuple[str, ...] = ()
    event_codes: Groups = ()
    confidentiality_codes: Groups = ()
    reference_ids: Groups = ()
    author_persons: tuple[str, ...] = ()
    document_availabilities: tuple[str, ...] = ()
    creation_time: Period = Period()
    service_start_time: Period = Period()
    service_stop_time: Period = Period()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCriteria:
    """Conditions on submission sets; ``author_person`` is a pattern."""

    statuses: tuple[str, ...] = ("Approved",)
    source_ids: tuple[str, ...] = ()
    submission_time: Period = Period()
    author_person: str | None = None
    content_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCriteria:
    """Conditions on folders."""

    statuses: tuple[str, ...] = ("Approved",)
    last_update_time: Period = Period()
    codes: Groups = ()
