"""Acknowledgements: what is said back to the sender of an HL7 v2 message, good or bad.

Rules:

- An answer speaks the dialect of its question: delimiters, version, charset, processing id, country and
  language are the question's; sender and receiver change places.
- Every message gets an answer. Where not even its MSH can be read, the answer carries what could be saved
  of it.
- From version 2.5 on an error stands in ERR-2 (where), ERR-3 (what), ERR-4 (how bad), ERR-7 and ERR-8 (in
  words); before that in ERR-1, with the words in MSA-3.
- Enhanced mode: MSH-15 asks for the accept acknowledgement (CA, CE, CR), MSH-16 for the application's own
  answer. A sender that leaves MSH-16 empty and does not always want the former (MSH-15 is ER, as hospital
  systems of the original mode like to write) waits for the one answer of the original mode.

Source: HL7 v2.5: 2.9.2, 2.9.3, 2.15.5, 2.15.8; HL7 v2.3.1: 2.24.7; ITI TF-2: C.2.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ihe.errors import IheError, Refused, UnknownTargetAuthority
from ihe.hl7v2.building import SegmentBuilder, build_message
from ihe.hl7v2.delimiters import Delimiters
from ihe.hl7v2.er7 import Message, Segment
from ihe.hl7v2.error_codes import INTERNAL_ERROR, RECORD_LOCKED, Condition, error_code
from ihe.names import fresh_name
from ihe.values import present_dtm

_TEXT_LENGTH = 250
_LOCATION = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<sequence>\d+)\])?"
    r"(?:-(?P<field>\d+)(?:\[(?P<repetition>\d+)\])?(?:\.(?P<component>\d+)(?:\.(?P<sub>\d+))?)?)?"
)
_CONTROL_ID = re.compile(r"[A-Za-z0-9._:-]{1,199}")
_COPIED: Final = {3: 5, 4: 6, 5: 3, 6: 4, 11: 11, 12: 12, 17: 17, 18: 18, 19: 19}
"""Fields of an answer's MSH that are the question's, where sender and receiver change places."""
_ALIKE: Final = (2, 3, 4, 5, 6, 9, 11, 12, 17, 18, 19)
"""Fields of a question's MSH by which answers differ, but for their time and control id."""
_LONGEST_KEPT: Final = 1000
"""Characters of a question's MSH up to which what is written for its sender is kept."""
_UNREADABLE = Message.parse("MSH|^~\\&||||||||||\r")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to say about a message, an ERR segment.

    Attributes:
        condition: row of HL7 table 0357.
        text: one sentence, no patient data.
        locations: where, as ``PID-3``, ``PID-3[2].4.1`` (second repetition) or ``OBX[2]-5`` (second segment).
        severity: ``E``, ``W`` or ``I``.
        reference: correlation id, or ``None``.
    """

    condition: Condition
    text: str
    locations: Sequence[str] = ()
    severity: str = "E"
    reference: str | None = None


def diagnose(error: IheError, reference: str | None = None) -> tuple[Diagnostic, ...]:
    """What to say about a refusal: one diagnostic, or one for each finding."""
    condition = error_code(error).condition
    if isinstance(error, Refused):
        return tuple(
            Diagnostic(condition, each.context, (each.location,) if each.location else (), each.severity[:1], reference)
            for each in error.findings
        )
    if isinstance(error, UnknownTargetAuthority):
        return (Diagnostic(condition, error.message, error.positions, reference=reference),)
    locations = (error.location,) if error.location else ()
    return (Diagnostic(condition, error.message, locations, reference=reference),)


def acknowledge(question: Message, code: str = "AA", diagnostics: Sequence[Diagnostic] = ()) -> Message:
    """A general acknowledgement.

    Args:
        code: MSA-1.
        diagnostics: written as ERR segments, also beside ``AA`` (warnings).
    """
    text = diagnostics[0].text if diagnostics else ""
    segments = [
        header_segment(question, "ACK", question.trigger_event, "ACK"),
        msa_segment(question, code, text),
        *err_segments(question, diagnostics),
    ]
    return build_message(segments, delimiters=question.delimiters, charset=question.answer_charset)


def refuse(question: Message | bytes, error: IheError, reference: str | None = None) -> Message:
    """The negative acknowledgement of a refused message.

    Args:
        question: the message, or the bytes that could not be read as one.
        reference: correlation id, or ``None``.
    """
    if isinstance(question, bytes):
        question = salvage(question)
    return acknowledge(question, error_code(error).acknowledgement, diagnose(error, reference))


def header_segment(question: Message, code: str, event: str, structure: str) -> SegmentBuilder:
    """The MSH of an answer, with a control id of its own and the present time.

    Args:
        code: MSH-9.1; event: MSH-9.2; structure: MSH-9.3, written when the version knows it.
    """
    return _AnswerHeader(question, (code, event, structure))


class _AnswerHeader(SegmentBuilder):
    """The MSH of an answer. But for its time and its control id it is alike in all answers of a kind to one sender, and
    written once for them.
    """

    def __init__(self, question: Message, names: tuple[str, str, str]) -> None:
        super().__init__("MSH")
        self.copy(question.msh, _COPIED)
        self._question = question
        self._names = names

    def render(self, delimiters: Delimiters) -> str:
        question, said = self._question, self._question.msh.written_fields
        alike = (*said[2:7], *said[9:10], *said[11:13], *said[17:20])
        asked = alike, question.delimiters, question.charset.codec, self._names, delimiters
        is_usual = not self._fields and len(question.msh.raw) <= _LONGEST_KEPT
        before, between, after = _kept_frame(*asked) if is_usual else _frame(*asked, self._fields.items())
        return f"{before}{present_dtm()}{between}{fresh_name()[:20]}{after}"


def _frame(
    said: Sequence[str],
    read_with: Delimiters,
    codec: str,
    names: tuple[str, str, str],
    delimiters: Delimiters,
    further: Iterable[tuple[int, Any]] = (),
) -> tuple[str, str, str]:
    """An answer's MSH up to its time, from there to its control id, and from there on.

    Args:
        said: what the question says in the fields of :data:`_ALIKE`, as written; those at the end may be missing.
        further: fields set in place of what they are otherwise.
    """
    written = dict(zip(_ALIKE, said, strict=False))
    fields = [written.get(number, "") for number in range(2, _ALIKE[-1] + 1)]
    msh = Segment(read_with.field.join(["MSH", *fields]), read_with, codec)
    code, event, structure = names
    names_structure = _is_from(msh.text(12), 2, 3, 1) or bool(msh.text(9, 3))
    mark = fresh_name()
    answer = SegmentBuilder("MSH").copy(msh, _COPIED).set(7, mark).set(10, mark)
    answer.set(9, [code, event, structure if names_structure and event else None])
    if not msh.text(11):
        answer.set(11, "P")
    if not msh.text(12):
        answer.set(12, "2.5")
    for number, value in further:
        answer.set(number, value)
    before, between, after = answer.render(delimiters).split(mark)
    return before, between, after


_kept_frame: Final = lru_cache(maxsize=1024)(_frame)


def msa_segment(question: Message, code: str, text: str = "") -> SegmentBuilder:
    """The MSA of an answer; the text is written only before version 2.5, where ERR has no place for it."""
    segment = SegmentBuilder("MSA", code).copy(question.msh, {2: 10})
    if text and not _is_from(question.version, 2, 5):
        segment.set(3, text[:80])
    return segment


def err_segments(question: Message, diagnostics: Sequence[Diagnostic]) -> list[SegmentBuilder]:
    """The ERR segments of an answer, in the form of the question's version."""
    if not diagnostics:
        return []
    if _is_from(question.version, 2, 5):
        return [_err(each) for each in diagnostics]
    segment = SegmentBuilder("ERR")
    for each in diagnostics:
        for location in each.locations or ("",):
            places = _place(location)
            identity = [each.condition.code, each.condition.text, "HL70357"]
            segment.add(1, [*(places[:3] + [""] * 3)[:3], identity])
    return [segment]


def answers(question: Message, application_answer: Message) -> tuple[Message, ...]:
    """Which messages go back, in order, by the acknowledgement mode that the question asks for.

    Original mode (MSH-16 empty, MSH-15 other than AL): the application's answer. Enhanced mode: the accept
    acknowledgement, then the application's answer, each if the question wants it; a message not accepted has no second
    answer. What answers a query is wanted unless MSH-16 says otherwise.
    """
    accept_when, answer_when = question.msh.text(15), question.msh.text(16)
    if not answer_when and accept_when != "AL":
        return (application_answer,)
    if not answer_when and application_answer.type_code != "ACK":
        answer_when = "AL"
    msa = application_answer.segment("MSA")
    code = msa.text(1) if msa else "AA"
    is_rejected = code == "AR"
    wanted: list[Message] = []
    if _is_wanted(accept_when, failed=is_rejected):
        wanted.append(_accept_acknowledgement(question, application_answer, is_rejected))
        if is_rejected:
            return tuple(wanted)
    if _is_wanted(answer_when, failed=code != "AA"):
        wanted.append(application_answer)
    return tuple(wanted)


def salvage(data: bytes) -> Message:
    """A message with as much of the header of an unreadable one as can be saved, for answering it."""
    start = data.find(b"MSH")
    if start < 0:
        return _UNREADABLE
    line = re.split(rb"[\r\n]", data[start : start + 4096], maxsplit=1)[0]
    try:
        return Message.parse(line + b"\r")
    except IheError:
        pass
    fields = line.split(line[3:4]) if len(line) > 3 else []
    control_id = fields[9].decode("ascii", "replace") if len(fields) > 9 else ""
    if not _CONTROL_ID.fullmatch(control_id):
        return _UNREADABLE
    return build_message([SegmentBuilder("MSH").set(10, control_id)])


def _accept_acknowledgement(question: Message, answer: Message, is_rejected: bool) -> Message:
    errors = answer.segments("ERR") if is_rejected else ()
    code = "CA"
    if is_rejected:
        reasons = {segment.text(3) or segment.text(1, 4) for segment in errors}
        code = "CE" if reasons & {INTERNAL_ERROR.code, RECORD_LOCKED.code} else "CR"
    segments: list[SegmentBuilder | Segment] = [
        header_segment(question, "ACK", question.trigger_event, "ACK"),
        msa_segment(question, code),
        *errors,
    ]
    return build_message(segments, delimiters=question.delimiters, charset=question.answer_charset)


def _is_wanted(condition: str, *, failed: bool) -> bool:
    """Whether an acknowledgement condition (HL7 table 0155) asks for an answer."""
    return {"": False, "NE": False, "ER": failed, "SU": not failed}.get(condition, True)


def _err(diagnostic: Diagnostic) -> SegmentBuilder:
    segment = SegmentBuilder("ERR")
    segment.set(2, *map(_place, filter(None, diagnostic.locations)))
    segment.set(3, [diagnostic.condition.code, diagnostic.condition.text, "HL70357"])
    segment.set(4, diagnostic.severity)
    segment.set(7, diagnostic.reference)
    segment.set(8, diagnostic.text[:_TEXT_LENGTH])
    return segment


def _place(location: str) -> list[str]:
    """ERL components of a location: segment, sequence, field, repetition, component, sub-component."""
    found = _LOCATION.fullmatch(location)
    if found is None:
        return []
    part = found.groupdict("")
    place = [part["segment"], part["sequence"] or "1", part["field"]]
    if part["repetition"] or part["component"]:
        place += [part["repetition"] or "1", part["component"], part["sub"]]
    return place


def _is_from(text: str, *version: int) -> bool:
    """Whether MSH-12 says this version of HL7 or a later one; an unreadable one counts as the latest."""
    numbers = _version_numbers(text)
    return not numbers or numbers >= version


@lru_cache(maxsize=64)
def _version_numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]+", text[:20])))
