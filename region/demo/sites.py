"""The ten sites at work: each sends its messages over a connection of its own, then its studies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from region.demo.mllp import MllpConnection
from region.demo.soap_answers import Refused, read_answer
from region.synthetic.population import FeedMessage, Scenario
from region.synthetic.provide_and_register import to_provide_and_register
from region.synthetic.submissions import StudySubmission

_CONNECTIONS_FOR_STUDIES = 8
_SENT_BEFORE = frozenset({"XDSDuplicateUniqueIdInRegistry"})

Advance = Callable[[str], None]
"""Told the site of each message or study that was answered."""


@dataclass(slots=True)
class Deliveries:
    """What became of what was sent.

    Attributes:
        accepted: how many were taken in, or had been before.
        refused: what was refused, one sentence each.
        seconds: for all together.
        answer_seconds: for each.
    """

    accepted: int = 0
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0
    answer_seconds: list[float] = field(default_factory=list)

    def percentile_ms(self, share: float) -> float:
        """The time within which that share of the answers came, in milliseconds."""
        ordered = sorted(self.answer_seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def send_feeds(scenario: Scenario, host: str, port: int, advance: Advance) -> Deliveries:
    """All sites feed at once, each in its own order."""
    started = time.perf_counter()
    with ThreadPoolExecutor(len(scenario.messages_by_site)) as pool:
        sent = [
            pool.submit(_send_feed, messages, host, port, advance) for messages in scenario.messages_by_site.values()
        ]
        return _together([future.result() for future in sent], started)


def _send_feed(messages: Sequence[FeedMessage], host: str, port: int, advance: Advance) -> Deliveries:
    done = Deliveries()
    with MllpConnection(host, port) as connection:
        for message in messages:
            before = time.perf_counter()
            answer = connection.send(message.data)
            done.answer_seconds.append(time.perf_counter() - before)
            if b"\rMSA|AA|" in answer or b"\rMSA|CA|" in answer:
                done.accepted += 1
            else:
                done.refused.append(f"{message.control_id}: {answer.decode('latin-1').replace(chr(13), ' ')}")
            advance(message.site)
    return done


def send_studies(
    submissions: Sequence[StudySubmission], client: httpx.Client, endpoint: str, advance: Advance
) -> Deliveries:
    """The sites register their studies and reports (ITI-41), each under its own patient number."""
    started = time.perf_counter()
    with ThreadPoolExecutor(_CONNECTIONS_FOR_STUDIES) as pool:
        return _together(
            list(pool.map(lambda submission: _send_study(submission, client, endpoint, advance), submissions)), started
        )


def _send_study(submission: StudySubmission, client: httpx.Client, endpoint: str, advance: Advance) -> Deliveries:
    request = to_provide_and_register(submission, submission.source_patient_id.xds_cx, endpoint=endpoint)
    content_type, body = request.body()
    done = Deliveries()
    before = time.perf_counter()
    answer = client.post(endpoint, content=body, headers={"Content-Type": content_type})
    done.answer_seconds.append(time.perf_counter() - before)
    try:
        read_answer(answer)
        done.accepted = 1
    except Refused as refusal:
        if refusal.codes == _SENT_BEFORE:
            done.accepted = 1
        else:
            done.refused.append(f"{submission.site.code} {submission.study.uid}: {refusal}")
    advance(submission.site.code)
    return done


def _together(parts: Sequence[Deliveries], started: float) -> Deliveries:
    return Deliveries(
        accepted=sum(part.accepted for part in parts),
        refused=[sentence for part in parts for sentence in part.refused],
        seconds=time.perf_counter() - started,
        answer_seconds=[seconds for part in parts for seconds in part.answer_seconds],
    )
