"""Queries by parameter (QBP) and their answers (RSP), the parts that all of them share.

Source: HL7 v2.5: 5.3, 5.5; ITI TF-2: 3.9, 3.21.
"""

from __future__ import annotations

from collections.abc import Sequence

from ihe.errors import IheError, MissingElement
from ihe.hl7v2.acknowledgement import Diagnostic, diagnose, err_segments, header_segment, msa_segment
from ihe.hl7v2.building import SegmentBuilder, build_message
from ihe.hl7v2.er7 import Field, Message, Segment
from ihe.hl7v2.error_codes import error_code
from ihe.values import AssigningAuthority
from mpi.translate.hl7v2_patient import authority_of


def required_qpd(message: Message) -> Segment:
    """The QPD of a query.

    Raises:
        MissingElement: there is none.
    """
    qpd = message.segment("QPD")
    if qpd is None:
        raise MissingElement("the message has no QPD segment", "QPD")
    return qpd


def asked_authorities(field: Field, location: str) -> tuple[tuple[AssigningAuthority, str], ...]:
    """The domains asked for (``^^^namespace&oid&ISO``), each with the location of its repetition.

    Raises:
        MissingElement: a repetition names no authority.
        InvalidElement: an authority is malformed.
    """
    found = []
    for number, repetition in enumerate(field.repetitions, 1):
        if not repetition:
            continue
        place = f"{location}[{number}]"
        authority = authority_of(repetition, place)
        if authority is None:
            raise MissingElement("a domain is asked for by its assigning authority in the fourth component", place)
        found.append((authority, place))
    return tuple(found)


def query_answer(
    question: Message,
    event: str,
    *,
    status: str,
    segments: Sequence[SegmentBuilder] = (),
    acknowledgement: str = "AA",
    diagnostics: Sequence[Diagnostic] = (),
    structure: str | None = None,
    hits: tuple[int, int, int] | None = None,
) -> Message:
    """An RSP: MSH MSA [ERR] QAK QPD, then the segments of the answer.

    Args:
        event: trigger event of the answer (``K23``).
        status: QAK-2: ``OK``, ``NF`` or ``AE``.
        structure: MSH-9.3; ``None`` is ``RSP_`` and the event.
        hits: how many were found, are in this answer, and follow it (QAK-4, 5, 6), or ``None``.
    """
    qpd = question.segment("QPD")
    qak = SegmentBuilder("QAK").set(2, status)
    if qpd is not None:
        qak.copy(qpd, {1: 2} if hits is None else {1: 2, 3: 1})
    if hits is not None:
        for number, count in enumerate(hits, 4):
            qak.set(number, str(count))
    parts = [
        header_segment(question, "RSP", event, structure or f"RSP_{event}"),
        msa_segment(question, acknowledgement, diagnostics[0].text if diagnostics else ""),
        *err_segments(question, diagnostics),
        qak,
        *((qpd,) if qpd is not None else ()),
        *segments,
    ]
    return build_message(parts, delimiters=question.delimiters, charset=question.answer_charset)


def query_refusal(question: Message, event: str, error: IheError, structure: str | None = None) -> Message:
    """The RSP that refuses a query, with QAK and the question beside the error.

    Source: ITI TF-2: 3.9.4.1.2.3, cases 3 to 6.
    """
    code = error_code(error).acknowledgement
    return query_answer(
        question, event, status=code, acknowledgement=code, diagnostics=diagnose(error), structure=structure
    )
