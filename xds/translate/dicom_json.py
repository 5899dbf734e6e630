"""Studies, series and instances → DICOM JSON, as QIDO-RS answers them.

The patient is shown under the asker's id; what the archives call the patient stands among the other ids, with its
issuer. Nothing is made up: an attribute that no manifest states is absent, or empty where the standard requires it.

Source: DICOM PS3.18 F.2, 10.6.3.3; PS3.3 C.12.1.1.9.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any, Final

from ihe.values import AssigningAuthority, PatientId
from xds.domain.imaging import ImagingSeries, Instance, IssuedId
from xds.domain.priors import ManifestedStudy, PriorStudy

JsonObject = dict[str, Any]


class StudyWriter:
    """Writes the studies of one answer; what they say alike of patient and place is written once.

    Args:
        root: DICOMweb address of this service, without trailing slash.
        unreachable: sites whose archives are known not to answer now.
    """

    def __init__(self, root: str, unreachable: Collection[str] = ()) -> None:
        self._root = root
        self._unreachable = unreachable
        self._issuers: dict[AssigningAuthority | None, JsonObject] = {}
        self._places: dict[tuple[Any, ...], JsonObject] = {}
        self._patients: dict[tuple[Any, ...], JsonObject] = {}

    def write(self, study: PriorStudy, shown_id: PatientId | None) -> JsonObject:
        """One study.

        Args:
            shown_id: the id under which the asker knows the patient; ``None``: as the archive says.
        """
        facts = study.copies[0].manifest
        # A person may have hundreds of studies: what needs no decision is written out.
        return {
            **_CHARACTERS,
            "00080020": _one("DA", _da(facts.date)),
            "00080030": _one("TM", facts.time.isoformat().replace(":", "") if facts.time else None),
            "00080050": _one("SH", facts.accessions[0].value if facts.accessions else None),
            **(self._accession_issuer(facts.accessions[0].issuer) if facts.accessions else {}),
            **self._place(study),
            "00081030": _one("LO", facts.description),
            "00081190": {"vr": "UR", "Value": [f"{self._root}/studies/{study.uid}"]},
            **self._patient(study, shown_id),
            "0020000D": {"vr": "UI", "Value": [study.uid]},
            "00201206": {"vr": "IS", "Value": [facts.series_count]},
            "00201208": {"vr": "IS", "Value": [facts.instance_count]},
        }

    def _accession_issuer(self, issuer: AssigningAuthority | None) -> JsonObject:
        if (found := self._issuers.get(issuer)) is None:
            found = self._issuers[issuer] = _accession_issuer(issuer)
        return found

    def _place(self, study: PriorStudy) -> JsonObject:
        """By which machines, where it can be had, and whether now."""
        titles = [copy.manifest.retrieve_ae_title for copy in study.copies]
        modalities = study.facts.modalities
        key = (modalities, *titles, *[copy.source for copy in study.copies])
        if (found := self._places.get(key)) is None:
            source = study.copies[0].source
            found = self._places[key] = {
                **availability(study, self._unreachable),
                **_optional("00080054", "AE", *titles),
                **_attribute("00080061", "CS", *modalities),
                **_optional("00080080", "LO", source.name if source else None),
                **_NOT_STATED,
            }
        return found

    def _patient(self, study: PriorStudy, shown_id: PatientId | None) -> JsonObject:
        header = study.facts.header
        stated = [(copy.manifest.header.ids, copy.manifest.source_patient_id) for copy in study.copies]
        key = (shown_id, header.name, header.birth_date, header.sex, *stated)
        if (found := self._patients.get(key)) is None:
            shown = _stated(study.facts) if shown_id is None else IssuedId(shown_id.value, shown_id.authority)
            found = self._patients[key] = {
                **_name("00100010", header.name),
                "00100020": {"vr": "LO", "Value": [shown.value]},
                **(_issuer_of_patient(shown.issuer) if shown.issuer else {}),
                "00100030": _one("DA", _da(header.birth_date)),
                "00100040": _one("CS", header.sex),
                **_other_ids(study, shown),
            }
        return found


def availability(study: PriorStudy, unreachable: Collection[str]) -> JsonObject:
    """Whether a study's pictures can be fetched now, as viewers show it; nothing where no archive is asked.

    Source: DICOM PS3.3 C.4.23.1.1.
    """
    asked = [copy.source.site for copy in study.copies if copy.source and copy.source.pacs_url]
    if not asked:
        return {}
    is_here = any(site not in unreachable for site in asked)
    return _attribute("00080056", "CS", "ONLINE" if is_here else "UNAVAILABLE")


def series_json(study: PriorStudy, series: ImagingSeries, root: str) -> JsonObject:
    """One series, with the UID of its study."""
    return {
        **_CHARACTERS,
        **_attribute("00080060", "CS", series.kind),
        **_attribute("0008103E", "LO", series.description),
        **_attribute("00081190", "UR", f"{root}/studies/{study.uid}/series/{series.uid}"),
        **_attribute("0020000D", "UI", study.uid),
        **_attribute("0020000E", "UI", series.uid),
        **_attribute("00200011", "IS"),
        **_attribute("00201209", "IS", len(series.instances)),
    }


def instance_json(study: PriorStudy, series: ImagingSeries, instance: Instance, root: str) -> JsonObject:
    """One instance, with the UIDs of its study and series."""
    address = f"{root}/studies/{study.uid}/series/{series.uid}/instances/{instance.sop_instance_uid}"
    return {
        **_CHARACTERS,
        **_attribute("00080016", "UI", instance.sop_class_uid),
        **_attribute("00080018", "UI", instance.sop_instance_uid),
        **_attribute("00080060", "CS", series.kind),
        **_attribute("00081190", "UR", address),
        **_attribute("0020000D", "UI", study.uid),
        **_attribute("0020000E", "UI", series.uid),
        **_attribute("00200013", "IS"),
    }


_CHARACTERS: Final = {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
_NOT_STATED: Final = {"00080090": {"vr": "PN"}, "00200010": {"vr": "SH"}}
"""Referring physician and study id, which no manifest states and the standard requires."""


def _stated(facts: ManifestedStudy) -> IssuedId:
    """The patient id of the archive's own header, else the one that the manifest was submitted with."""
    return next((each for each in (*facts.header.ids, *_submitted(facts))), IssuedId("", None))


def _other_ids(study: PriorStudy, shown: IssuedId) -> JsonObject:
    """The ids in the manifests' headers and those that their entries were submitted with."""
    found: dict[IssuedId, None] = {}
    for copy in study.copies:
        found |= dict.fromkeys(copy.manifest.header.ids)
        found |= dict.fromkeys(_submitted(copy.manifest))
    items = [
        {
            **_attribute("00100020", "LO", issued.value),
            **_attribute("00100022", "CS", "TEXT"),
            **(_issuer_of_patient(issued.issuer) if issued.issuer else {}),
        }
        for issued in found
        if not _same(issued, shown)
    ]
    return _sequence("00101002", items)


def _submitted(manifest: ManifestedStudy) -> Iterable[IssuedId]:
    if manifest.source_patient_id is not None:
        source = PatientId.from_xds_cx(manifest.source_patient_id)
        yield IssuedId(source.value, source.authority)


def _same(first: IssuedId, second: IssuedId) -> bool:
    if first.value != second.value or first.issuer is None or second.issuer is None:
        return False
    if first.issuer.oid is not None and second.issuer.oid is not None:
        return first.issuer.oid == second.issuer.oid
    return first.issuer.namespace is not None and first.issuer.namespace == second.issuer.namespace


def _issuer_of_patient(authority: AssigningAuthority) -> JsonObject:
    qualifier = _qualifier(authority)
    return {
        **_optional("00100021", "LO", authority.namespace or authority.oid),
        **_sequence("00100024", [qualifier] if qualifier else []),
    }


def _accession_issuer(issuer: AssigningAuthority | None) -> JsonObject:
    if issuer is None:
        return {}
    return _sequence("00080051", [_qualifier(issuer) or _attribute("00400031", "UT", issuer.namespace)])


def _qualifier(authority: AssigningAuthority) -> JsonObject:
    if authority.oid is None:
        return {}
    return {**_attribute("00400032", "UT", str(authority.oid)), **_attribute("00400033", "CS", "ISO")}


def _one(vr: str, value: object) -> JsonObject:
    """What stands under a tag; without a value it is empty."""
    return {"vr": vr} if value is None else {"vr": vr, "Value": [value]}


def _attribute(tag: str, vr: str, *values: object) -> JsonObject:
    """One attribute; without a value it is empty."""
    stated = [value for value in values if value is not None]
    return {tag: {"vr": vr, "Value": stated} if stated else {"vr": vr}}


def _optional(tag: str, vr: str, *values: object) -> JsonObject:
    stated = list(dict.fromkeys(value for value in values if value))
    return _attribute(tag, vr, *stated) if stated else {}


def _name(tag: str, name: str | None) -> JsonObject:
    return {tag: {"vr": "PN", "Value": [{"Alphabetic": name}]} if name else {"vr": "PN"}}


def _sequence(tag: str, items: Sequence[JsonObject]) -> JsonObject:
    return {tag: {"vr": "SQ", "Value": list(items)}} if items else {}


def _da(day: date | None) -> str | None:
    return day.isoformat().replace("-", "") if day else None
