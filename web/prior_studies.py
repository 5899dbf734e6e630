"""``GET /priors``: a person's imaging history over the whole region in one plain JSON call, for viewers.

``patient=<issuer>|<id>``, or ``study=<UID>``, or ``accession=<issuer>|<number>``; an issuer is an OID (with or without
``urn:oid:``) or the code of a site. ``site`` names the viewer's own where it names no patient; ``modality`` and
``region`` (repeatable) say what is being read, so that the most relevant studies come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ihe.errors import InvalidElement, MissingElement
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import Endpoint, HttpBinding, Transaction
from ihe.values import AssigningAuthority, Oid, PatientId
from web.application import WebApplication
from web.viewer import viewer_path
from xds.domain.imaging import IssuedId, is_uid
from xds.domain.imaging_sources import ImagingSources
from xds.domain.model import DocumentEntry
from xds.domain.priors import StudyCopy
from xds.domain.relevance import Interest
from xds.services.history import HistoricStudy, History, HistoryQuestion, history
from xds.translate.dicom_web import unreachable, warning_header
from xds.translate.fhir_document import resource_id

_NAMED = ("patient", "study", "accession")
_MOST = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters as they were written; issuers are looked up where the table of domains is known."""

    given: Mapping[str, str]
    interest: Interest


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; the address of this service is known only to the request.

    Attributes:
        sources: of the region.
        has_viewer: whether this service serves one.
    """

    found: History
    sources: ImagingSources
    has_viewer: bool


def decode(request: HttpRequest) -> Asked:
    """Read the parameters.

    Raises:
        MissingElement: neither patient nor study nor accession number.
        InvalidElement: several of them, one given twice, or a value that none can have.
    """
    given: dict[str, str] = {}
    many: dict[str, list[str]] = {"modality": [], "region": []}
    for name, value in request.query:
        if name in many:
            many[name].append(value.strip())
        elif name in (*_NAMED, "site"):
            if name in given:
                raise InvalidElement(f"{name} is given twice", name)
            given[name] = value.strip()
        else:
            raise InvalidElement("the parameter is not supported", name[:60])
    named = [name for name in _NAMED if given.get(name)]
    if not named:
        raise MissingElement("name a patient (<issuer>|<id>), a study or an accession number", "patient")
    if len(named) > 1:
        raise InvalidElement(f"name one of {', '.join(_NAMED)}", named[1])
    if "study" in named and not is_uid(given["study"]):
        raise InvalidElement("a UID has digits and dots, at most 64 characters", "study")
    if any(len(values) > _MOST for values in many.values()):
        raise InvalidElement(f"at most {_MOST} values", "region")
    interest = Interest(frozenset(value.upper() for value in many["modality"]), frozenset(many["region"]))
    return Asked({name: value for name, value in given.items() if value}, interest)


def serve(asked: Asked, context: Context[WebApplication]) -> Answer:
    """Look the history up."""
    app = context.application
    studies = app.xds.studies
    given = asked.given
    question = HistoryQuestion(
        patient_id=_patient_id(given["patient"], studies.sources) if "patient" in given else None,
        study_uid=given.get("study"),
        accession=_accession(given["accession"], studies.sources) if "accession" in given else None,
        interest=asked.interest,
        shown_in=given.get("site"),
    )
    found = history(context.uow, question, studies)
    context.trail.query("priors")
    context.trail.patient(found.shown_id.xds_cx)
    return Answer(found, studies.sources, app.viewer is not None)


def encode(answer: Answer, request: HttpRequest) -> HttpReply:
    """JSON; sites that don't answer are named in it and in a warning."""
    found = answer.found
    shown_in = answer.sources.by_authority(found.shown_id)
    places = _Places(request.base_url, shown_in.site if shown_in else None, answer.has_viewer)
    joined_by = {each.study.facts.anchor: each.joined_by for each in found.studies}
    written = {anchor: [_identifier(one, answer.sources) for one in chain] for anchor, chain in joined_by.items()}
    body = {
        "patient": found.shown_id.xds_cx,
        "interest": {"modalities": sorted(found.interest.modalities), "regions": sorted(found.interest.regions)},
        "unreachable": list(found.unreachable),
        "studies": [_study(each, written[each.study.facts.anchor], answer, places) for each in found.studies],
    }
    headers = warning_header(request.base_url, unreachable(found.unreachable))
    return HttpReply(200, "application/json", orjson.dumps(body), headers)


@dataclass(frozen=True, slots=True)
class _Places:
    """Addresses at this service, under the ids of one domain."""

    base_url: str
    domain: str | None
    has_viewer: bool

    def wado(self, study_uid: str) -> str:
        below = f"/domains/{self.domain}" if self.domain else ""
        return f"{self.base_url}/dicom-web{below}/studies/{study_uid}"

    def opened(self, study_uid: str) -> str | None:
        return f"{self.base_url}{viewer_path(self.domain, study_uid)}" if self.has_viewer else None


def _study(each: HistoricStudy, joined_by: list[dict[str, Any]], answer: Answer, places: _Places) -> dict[str, Any]:
    study, facts = each.study, each.study.facts
    return {
        "study_instance_uid": study.uid,
        "date": facts.date.isoformat() if facts.date else None,
        "time": facts.time.isoformat() if facts.time else None,
        "description": facts.description,
        "modalities": list(facts.modalities),
        "regions": [{"code": r.code, "scheme": r.scheme, "display": r.display} for r in facts.regions],
        "accessions": [
            {"number": a.value, "issuer": str(a.issuer.oid) if a.issuer and a.issuer.oid else None}
            for a in facts.accessions
        ],
        "series": facts.series_count,
        "instances": facts.instance_count,
        "relevance": each.relevance,
        "joined_by": joined_by,
        "reports": [_report(report, places.base_url) for report in each.reports],
        "retrieve_url": places.wado(study.uid),
        "viewer_url": places.opened(study.uid),
        "copies": [_copy(copy, answer.found.unreachable) for copy in study.copies],
    }


def _copy(copy: StudyCopy, missing: tuple[str, ...]) -> dict[str, Any]:
    """A place that has the study; ``reachable`` is null where nobody here asks it."""
    site = copy.source.site if copy.source else None
    is_asked = copy.source is not None and copy.source.pacs_url is not None
    return {
        "site": site,
        "name": copy.source.name if copy.source else None,
        "reachable": site not in missing if is_asked else None,
        "retrieve_url": copy.retrieve_url,
        "retrieve_location_uid": copy.retrieve_location_uid,
        "manifest": {
            "repository_unique_id": copy.manifest.repository_unique_id,
            "document_unique_id": copy.manifest.document_unique_id,
        },
    }


def _identifier(patient_id: PatientId, sources: ImagingSources) -> dict[str, Any]:
    source = sources.by_authority(patient_id)
    return {
        "id": patient_id.value,
        "authority": str(patient_id.authority.oid),
        "site": source.site if source else None,
    }


def _report(report: DocumentEntry, base_url: str) -> dict[str, Any]:
    return {
        "title": report.title[0].value if report.title else None,
        "type": report.type_code.code if report.type_code else None,
        "created": report.creation_time,
        "mime_type": report.mime_type,
        "repository_unique_id": report.repository_unique_id,
        "document_unique_id": report.unique_id,
        "url": f"{base_url}/fhir/Binary/{resource_id(report.id)}",
    }


def _patient_id(text: str, sources: ImagingSources) -> PatientId:
    issuer, _, value = text.partition("|")
    source = sources.by_site(issuer.strip())
    try:
        return PatientId(value.strip(), AssigningAuthority(oid=source.patient_authority if source else Oid(issuer)))
    except ValueError as error:
        raise InvalidElement(
            "patient is written <issuer>|<id>, the issuer an OID or a site's code", "patient"
        ) from error


def _accession(text: str, sources: ImagingSources) -> IssuedId:
    issuer, _, value = text.partition("|")
    source = sources.by_site(issuer.strip())
    try:
        oid = source.accession_authority if source else Oid(issuer.strip())
        if value.strip() and oid:
            return IssuedId(value.strip(), AssigningAuthority(oid=oid))
    except ValueError:
        pass
    raise InvalidElement("accession is written <issuer>|<number>: the number alone is every site's", "accession")


ENDPOINT = Endpoint(
    Transaction(
        number="TDU-4",
        name="Prior Studies",
        actor="Workbench",
        profile="Trait d'Union",
        bindings=(HttpBinding("GET", "/priors"),),
        writes=False,
        event_code="110112",
        event_action="E",
    ),
    decode,
    serve,
    encode,
    None,
    __name__,
)
"""The call, for the pipeline."""
