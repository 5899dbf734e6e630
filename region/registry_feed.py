"""The registry's own patient feed, for a region whose index is another system.

The messages are those that our index would be fed with, read and acknowledged by the same code; what they tell goes to
the registry instead. ITI-64, which our index sends to the registries of others, is received here.

Source: ITI TF-2: 3.8, 3.44, 3.64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from ihe.errors import MissingElement
from ihe.hl7v2.er7 import Message
from ihe.serving import Context
from ihe.soap.envelope import SoapRequest
from ihe.transaction import Endpoint, Hl7v2Binding, Transaction
from ihe.values import PatientId
from mpi.domain.feed import Feed, FeedKind
from mpi.translate.hl7v2_feed import encode_accept
from mpi.translate.hl7v2_patient import patient_ids, required_pid
from mpi.translate.hl7v3_feed import REVISE
from xds.application import XdsApplication
from xds.services.patient_feed import FedDirectory, add_patient, merge_patients, move_patient

_FED: Final = ("ITI-8", "ITI-44")
_MODULE: Final = "xds.patient_feed"

LINK_CHANGE: Final = Transaction(
    number="ITI-64",
    name="Notify XAD-PID Link Change",
    actor="Document Registry",
    profile="XPID",
    bindings=(Hl7v2Binding("ADT", "A43", ("2.5",)),),
    writes=True,
    event_code="110110",
    event_action="U",
    source="ITI TF-2: 3.64",
)


@dataclass(frozen=True, slots=True)
class PatientNews:
    """What a feed tells the registry.

    Attributes:
        is_update: of demographics alone, which the registry doesn't keep.
    """

    feed: Feed
    is_update: bool


@dataclass(frozen=True, slots=True)
class LinkChange:
    """What ITI-64 tells: identifiers of PID-3 and of MRG-1."""

    now: tuple[PatientId, ...]
    former: tuple[PatientId, ...]


def with_own_feed(endpoints: Iterable[Endpoint]) -> Iterator[Endpoint]:
    """The endpoints, of which those that feed the index feed the registry, and ITI-64 beside them."""
    for endpoint in endpoints:
        if endpoint.transaction.number not in _FED:
            yield endpoint
            continue
        transaction = replace(endpoint.transaction, actor="Document Registry", profile="XDS.b")
        decode = _decoding(endpoint.decode)
        yield replace(endpoint, transaction=transaction, decode=decode, serve=_take_in, module=_MODULE)
    yield Endpoint(LINK_CHANGE, _read_link_change, _move, encode_accept, None, _MODULE)


def _decoding(decode: Callable[[Any], Feed]) -> Callable[[Message | SoapRequest], PatientNews]:
    def read(request: Message | SoapRequest) -> PatientNews:
        updates = request.trigger_event == "A08" if isinstance(request, Message) else REVISE in request.action
        return PatientNews(decode(request), updates)

    return read


def _take_in(news: PatientNews, context: Context[XdsApplication]) -> None:
    directory = _directory(context)
    patient_id = directory.own(news.feed.identifiers, "PID-3")
    context.trail.patient(patient_id.xds_cx)
    if news.feed.kind is FeedKind.MERGE:
        subsumed = directory.own(news.feed.others, "MRG-1")
        context.trail.patient(subsumed.xds_cx, lifecycle="subsumed")
        merge_patients(context.uow, patient_id, subsumed)
    elif not news.is_update:
        add_patient(context.uow, patient_id)


def _read_link_change(message: Message) -> LinkChange:
    merged = message.segment("MRG")
    if merged is None:
        raise MissingElement("the message has no MRG segment", "MRG")
    now = patient_ids(required_pid(message).field(3), "PID-3")
    return LinkChange(tuple(now), tuple(patient_ids(merged.field(1), "MRG-1")))


def _move(change: LinkChange, context: Context[XdsApplication]) -> None:
    directory = _directory(context)
    patient_id = directory.own(change.now, "PID-3")
    directory.own(change.former, "MRG-1")
    local_ids = [each for each in (*change.now, *change.former) if each.authority.oid != directory.affinity_domain.oid]
    if not local_ids or any(each.authority.oid is None for each in local_ids):
        raise MissingElement("the message names no local identifier with an OID", "PID-3[2]")
    context.trail.patient(patient_id.xds_cx)
    move_patient(context.uow, patient_id, local_ids)


def _directory(context: Context[XdsApplication]) -> FedDirectory:
    directory = context.application.registry.directory
    assert isinstance(directory, FedDirectory)
    return directory
