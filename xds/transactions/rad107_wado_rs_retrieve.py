"""RAD-107 WADO-RS Retrieve: pictures of the whole region from one address, under the asker's own patient id.

Who may see them is decided and audited first; then they stream from the archive that has them.

Source: RAD TF-2: 4.107; DICOM PS3.18 10.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ihe.errors import NotAcceptable, NotFound
from ihe.http import HttpReply, HttpRequest
from ihe.serving import AfterCommit, Context
from ihe.soap.multipart import ContentType
from ihe.transaction import HttpBinding, Transaction
from xds.application import XdsApplication
from xds.archive.client import ArchiveAnswer
from xds.services.wado import Located, Opened, Wanted, locate, locate_picture, open_first
from xds.translate.byte_ranges import cut, wanted_range
from xds.translate.dicom_web import ROOTS, root_of, unreachable, warning_header
from xds.translate.wado_parts import OnlyPart, PassingParts, metadata_json

_STUDY = "/studies/{study}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"
TRANSACTION = Transaction(
    number="RAD-107",
    name="WADO-RS Retrieve",
    actor="Imaging Document Responder",
    profile="WIA",
    bindings=tuple(
        HttpBinding("GET", root + path)
        for root in ROOTS
        for path in (
            _STUDY,
            f"{_STUDY}/metadata",
            f"{_STUDY}/thumbnail",
            _SERIES,
            f"{_SERIES}/metadata",
            f"{_SERIES}/thumbnail",
            _INSTANCE,
            f"{_INSTANCE}/metadata",
            f"{_INSTANCE}/rendered",
            f"{_INSTANCE}/thumbnail",
            f"{_INSTANCE}/frames/{{frames}}",
            f"{_INSTANCE}/frames/{{frames}}/rendered",
            f"{_INSTANCE}/bulk/{{bulk:path}}",
        )
    ),
    writes=False,
    event_code="110104",
    event_action="R",
    options=(
        "only what a manifest lists, and the asker may read, is asked of an archive",
        "the patient id is the asker's own; the archive's stands in OtherPatientIDs- and OriginalAttributesSequence",
        "pixel data pass untouched",
        "bulk data and one frame also as application/octet-stream, and these and renderings by byte range",
        "a thumbnail is a small rendering of one instance, of a study or series of the middle of its first pictures",
        "an archive that does not answer is named: 503, or a Warning when another one had the study too",
    ),
    source="RAD TF-2: 4.107; DICOM PS3.18 10.4",
    waits=True,
)

_DICOM: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_FRAMES: Final = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
_PART: Final = 'multipart/related; type="application/octet-stream"'
_RANGES: Final = {"Accept-Ranges": "bytes"}
_JSON: Final = "application/dicom+json"
_SAFE_ACCEPT: Final = re.compile(r"[\x20-\x7e]{1,500}")
_FRAME_LIST: Final = re.compile(r"[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*")
_BULK: Final = re.compile(r"[0-9A-Za-z]{1,16}(/[0-9A-Za-z]{1,16})*")
_RENDERED: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/jp2"})
_THUMBNAIL: Final = "160,160"
"""Width and height, in pixels."""
_WINDOW: Final = ("annotation", "quality", "viewport", "window")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for.

    Attributes:
        rest: of the path, below the objects.
        accept: what is asked of the archive.
        domain: code of the domain below whose root is asked, or ``None``.
        is_single: whether the object itself is wanted, not a multipart body with it.
        is_thumbnail: whether one picture that stands for the objects is wanted.
        wanted_bytes: first and last of a range of what is no DICOM file; ``None``: all.
    """

    wanted: Wanted
    rest: str
    accept: str
    domain: str | None
    is_single: bool
    is_thumbnail: bool
    wanted_bytes: tuple[int, int] | None = None


def decode(request: HttpRequest) -> Question:
    """The objects, and in what form."""
    named = request.path_parameters
    wanted = Wanted(named["study"], named.get("series"), named.get("instance"))
    rest = _rest(request)
    accept = request.headers.get("accept", "*/*")
    if not _SAFE_ACCEPT.fullmatch(accept):
        raise NotAcceptable("the Accept header is not readable")
    first = ContentType(accept).media_type
    is_file = rest == "" and wanted.instance is not None and first == "application/dicom"
    is_part = first == "application/octet-stream" and (
        rest.startswith("/bulk") or (rest.startswith("/frames/") and "," not in rest and not rest.endswith("/rendered"))
    )
    asked = _DICOM if is_file else _PART if is_part else _asked(rest, accept, first)
    may_be_cut = (is_part or rest.endswith("/rendered")) and "if-range" not in request.headers
    return Question(
        wanted,
        rest + _query(request, rest),
        asked,
        named.get("domain"),
        is_file or is_part,
        _is_thumbnail(request),
        wanted_range(request.headers.get("range")) if may_be_cut else None,
    )


def serve(question: Question, context: Context[XdsApplication]) -> tuple[Question, Located]:
    """Find them, as far as the asker may see them."""
    find = locate_picture if question.is_thumbnail else locate
    located = find(context.uow, question.wanted, context.application.studies, question.domain)
    context.trail.patient(located.found.study.facts.anchor)
    wanted = located.wanted
    context.trail.study(wanted.study, series=wanted.series, instance=wanted.instance)
    return question, located


def encode(found: tuple[Question, Located], request: HttpRequest) -> AfterCommit[HttpReply]:
    """The archive's answer, opened when this unit of work is over."""
    question, located = found

    def answered() -> HttpReply:
        opened = open_first(located, question.rest, question.accept)
        whole = reply(opened, request, is_single=question.is_single)
        return whole if question.wanted_bytes is None else _in_part(whole, *question.wanted_bytes)

    return AfterCommit(answered)


def reply(opened: Opened, request: HttpRequest, *, is_single: bool) -> HttpReply:
    """The answer of an archive that has begun."""
    answer, patient = opened.answer, opened.located.shown_by(opened.place)
    headers = {
        "Cache-Control": "no-store",
        **warning_header(request.base_url, unreachable(opened.missed)),
    }
    kind = ContentType(answer.content_type).media_type
    try:
        if kind == "multipart/related" and is_single:
            inner = ContentType(answer.content_type).parameter("type").strip('"') or "application/dicom"
            part = OnlyPart(answer, answer.content_type, patient if inner == "application/dicom" else None)
            return HttpReply(200, inner, part, headers | ({} if inner == "application/dicom" else _RANGES))
        if kind == "multipart/related":
            parts = PassingParts(answer, answer.content_type, patient)
            return HttpReply(200, parts.content_type, parts, headers)
        if kind in (_JSON, "application/json"):
            return HttpReply(200, _JSON, metadata_json(answer, patient, root_of(request)), headers)
        if not kind.startswith(("image/", "video/", "application/octet-stream")):
            raise NotAcceptable("the archive answered in a form that is not passed on")
    except BaseException:
        answer.close()
        raise
    return HttpReply(200, answer.content_type, answer, headers | _RANGES)


def _in_part(whole: HttpReply, first: int, last: int) -> HttpReply:
    """The answer with some bytes of its body; as it is where they cannot be told."""
    if isinstance(whole.body, bytes) or not isinstance(whole.body, (ArchiveAnswer, OnlyPart)):
        return whole
    found = cut(whole.body, first, last)
    headers = {**whole.headers, "Content-Range": found.content_range}
    if found.data is None:
        return HttpReply(416, "text/plain", b"", headers)
    return HttpReply(206, whole.media_type, found.data, headers)


def _is_thumbnail(request: HttpRequest) -> bool:
    return request.path.endswith("/thumbnail")


def _rest(request: HttpRequest) -> str:
    """What is asked of the archive below the objects; few archives make thumbnails, which are small renderings."""
    named = request.path_parameters
    if _is_thumbnail(request):
        return "/rendered"
    last = request.path.rpartition("/")[2]
    if "frames" in named:
        if not _FRAME_LIST.fullmatch(named["frames"]):
            raise NotFound("frames are named by their numbers, from 1")
        return f"/frames/{named['frames']}{'/rendered' if last == 'rendered' else ''}"
    if "bulk" in named:
        if not _BULK.fullmatch(named["bulk"]):
            raise NotFound("there is no such bulk data")
        return f"/bulk/{named['bulk']}"
    return f"/{last}" if last in ("metadata", "rendered") else ""


def _asked(rest: str, accept: str, first: str) -> str:
    """What is asked of the archive: what the client wants where that can be, else the usual form."""
    if rest == "/metadata":
        return _JSON
    if rest.endswith("/rendered"):
        # Browsers name forms that no archive makes, and any other; archives refuse such a list.
        return first if first in _RENDERED or first.startswith("video/") else "image/jpeg"
    if first == "multipart/related":
        return accept
    if first in ("*/*", ""):
        return _FRAMES if rest else _DICOM
    if rest and first in ("application/octet-stream", "image/jpeg"):
        return _FRAMES
    raise NotAcceptable("pictures are sent as multipart/related; an instance also as application/dicom")


def _query(request: HttpRequest, rest: str) -> str:
    """Parameters of a rendering, which alone are passed on."""
    if not rest.endswith("/rendered"):
        return ""
    given = [(name, value) for name, value in request.query if name in _WINDOW]
    if _is_thumbnail(request) and "viewport" not in dict(given):
        given.append(("viewport", _THUMBNAIL))
    if not all(re.fullmatch(r"[0-9A-Za-z.,-]{1,100}", value) for _, value in given):
        raise NotAcceptable("a parameter of the rendering is not readable")
    return "?" + "&".join(f"{name}={value}" for name, value in given) if given else ""
