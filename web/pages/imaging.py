"""The imaging history of a person for professionals: studies of all sites on one axis of time, with pictures, reports
and the way into the viewer.
"""

from __future__ import annotations

from ihe.errors import AccessDenied, UnknownPatient
from mpi.services.identifiers import regional_patient_id
from mpi.services.person_file import read_person_file
from web.imaging_axis import Mark, time_axis
from web.page import Pages, Template, View, Visit
from web.rendering import environment
from web.roles import STEWARDS
from web.viewer import viewer_path
from xds.services.history import HistoricStudy, History, HistoryQuestion, history
from xds.translate.fhir_document import resource_id

PAGES = Pages()


@PAGES.get("/persons/{person}/imaging", "Imaging history", roles=STEWARDS)
def imaging(visit: Visit) -> View:
    """The history; of a person of other establishments for a reason only, as the person page."""
    number = visit.number("person")
    opened = visit.session.opened.get(str(number))
    try:
        found = read_person_file(visit.uow, visit.app.mpi, number, opened=opened is not None)
    except AccessDenied:
        return Template("break_glass.html", {"number": number}, status=403)
    patient_id = regional_patient_id(visit.app.mpi, found.id)
    note = {"break_glass": opened} if opened else {}
    visit.trail.patient(patient_id.xds_cx, **note)
    try:
        answer: History | None = history(visit.uow, HistoryQuestion(patient_id), visit.app.xds.studies)
    except UnknownPatient:
        answer = None
    studies = answer.studies if answer else ()
    values = {
        "found": found,
        "opened": opened,
        "unreachable": answer.unreachable if answer else (),
        "axis": _axis(visit, studies),
        "studies": [_shown(visit, each, answer.unreachable if answer else ()) for each in studies],
    }
    return Template("imaging.html", values)


def _axis(visit: Visit, studies: tuple[HistoricStudy, ...]) -> object:
    day_of = environment(visit.language).filters["day"]
    marks = [
        Mark(
            facts.date,
            " · ".join((" ".join(facts.modalities), *(region.display or region.code for region in facts.regions[:1]))),
            f"#study-{number}",
            f"{day_of(facts.date)} {' '.join(facts.modalities)} {facts.description or ''}".strip(),
        )
        for number, facts in enumerate((each.study.facts for each in studies), 1)
        if facts.date is not None
    ]
    return time_axis(marks, visit.t("Studies on an axis of time"))


def _shown(visit: Visit, each: HistoricStudy, unreachable: tuple[str, ...]) -> dict[str, object]:
    """A study as the page lists it; its thumbnail only where an archive that answers can give one."""
    study, site = each.study, visit.session.site
    root = f"/dicom-web/domains/{site}" if site else "/dicom-web"
    sources = [copy.source for copy in study.copies if copy.source]
    has_picture = any(source.pacs_url and source.site not in unreachable for source in sources)
    return {
        "facts": study.facts,
        "sources": sources,
        "thumbnail": f"{root}/studies/{study.uid}/thumbnail" if has_picture else None,
        "viewer": viewer_path(site, study.uid) if visit.app.viewer is not None and has_picture else None,
        "reports": [
            (f"/fhir/Binary/{resource_id(report.id)}", report.title[0].value if report.title else "")
            for report in each.reports
        ],
    }
