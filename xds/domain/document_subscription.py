"""Who wants to be told of which documents, and how.

Source: ITI TF-2: 3.52 (DSUB); FHIR R4 Subscription.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ihe.caller import Caller
from xds.domain.answers import Returned
from xds.domain.stored_query import Kind, Parameter, QueryDefinition, code_parameter, required_parameter


class Topic(StrEnum):
    """What a notification holds (Source: ITI TF-2: 3.52.5.3)."""

    FULL = "FullDocumentEntry"
    MINIMAL = "MinimalDocumentEntry"
    SUBMISSION_SET = "SubmissionSetMetadata"


class Channel(StrEnum):
    """How it is sent: as WS-BaseNotification (ITI-53) or over HTTP as FHIR resource."""

    WSN = "wsn"
    REST_HOOK = "rest-hook"


@dataclass(frozen=True, slots=True)
class DocumentSubscription:
    """A wish to be told.

    Attributes:
        endpoint: address of the consumer.
        criteria: what is wanted, as its subscriber wrote it: a ``rim:AdhocQuery``, or FHIR search criteria.
        ends_at: when it ends by itself; ``None`` never.
        payload: of a rest-hook: media type of what is sent; empty sends only the news that there is something.
        headers: of a rest-hook: further HTTP header lines; may hold secrets, so they are never told again.
        is_active: whether anything is sent.
        resource: of a rest-hook: the Subscription as sent, without header lines.
    """

    channel: Channel
    topic: Topic
    endpoint: str
    criteria: str
    ends_at: datetime | None = None
    payload: str = ""
    headers: tuple[str, ...] = ()
    is_active: bool = True
    resource: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredDocumentSubscription:
    """A subscription that was taken in.

    Attributes:
        id: UUID as text.
        owner: who made it. Nobody else sees or changes it, and it is told what its owner may read.
        version: from 1.
        manager: address at which it was made known to its owner.
    """

    id: str
    owner: Caller
    version: int
    manager: str
    wish: DocumentSubscription

    @property
    def name(self) -> str:
        """Under which deliveries are recorded."""
        return f"ITI-53 {self.id}" if self.wish.channel is Channel.WSN else f"ITI-112 {self.id}"


@dataclass(frozen=True, slots=True)
class DocumentNews:
    """Something that a subscriber is to be told.

    Attributes:
        returned: the entry or submission set under the identifier by which the subscriber knows the patient.
        sets: of an entry: its submission sets and its memberships in them.
    """

    returned: Returned
    sets: tuple[Returned, ...] = ()


_ENTRY = "$XDSDocumentEntry"
_SET = "$XDSSubmissionSet"
_ENTRY_FILTERS = (
    Parameter(f"{_ENTRY}ReferenceIdList", many=True, conjunction=True),
    code_parameter(f"{_ENTRY}ClassCode"),
    code_parameter(f"{_ENTRY}TypeCode"),
    code_parameter(f"{_ENTRY}PracticeSettingCode"),
    code_parameter(f"{_ENTRY}HealthcareFacilityTypeCode"),
    code_parameter(f"{_ENTRY}EventCodeList", conjunction=True),
    code_parameter(f"{_ENTRY}ConfidentialityCode", conjunction=True),
    code_parameter(f"{_ENTRY}FormatCode"),
    Parameter(f"{_ENTRY}AuthorPerson", many=True),
)
_SET_FILTERS = (
    Parameter(f"{_SET}SourceId", many=True),
    Parameter(f"{_SET}AuthorPerson"),
    Parameter(f"{_SET}IntendedRecipient", many=True),
)

_DEFINITIONS = (
    QueryDefinition(
        "DocumentEntry subscription",
        "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66",
        (required_parameter(f"{_ENTRY}PatientId", Kind.PATIENT), *_ENTRY_FILTERS),
    ),
    QueryDefinition(
        "Patient-independent DocumentEntry subscription",
        "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79",
        _ENTRY_FILTERS,
        at_least_one_of=(
            f"{_ENTRY}ClassCode",
            f"{_ENTRY}TypeCode",
            f"{_ENTRY}PracticeSettingCode",
            f"{_ENTRY}HealthcareFacilityTypeCode",
        ),
    ),
    QueryDefinition(
        "SubmissionSet subscription",
        "urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece",
        (required_parameter(f"{_SET}PatientId", Kind.PATIENT), *_SET_FILTERS),
    ),
    QueryDefinition(
        "Patient-independent SubmissionSet subscription",
        "urn:uuid:868cad3d-ec09-4565-b66c-1be10d034399",
        _SET_FILTERS,
        at_least_one_of=tuple(each.name for each in _SET_FILTERS),
    ),
)

SUBSCRIPTION_QUERIES: Mapping[str, QueryDefinition] = {each.id: each for each in _DEFINITIONS}
"""The filters of ITI-52 by id."""


def is_of_sets(definition: QueryDefinition) -> bool:
    """Whether a filter chooses submission sets, not document entries."""
    return definition.parameters[-1].name.startswith(_SET)
