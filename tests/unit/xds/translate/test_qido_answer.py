"""An archive's DICOM JSON → the study and patient of a manifest."""

from __future__ import annotations

from datetime import date, time
from typing import Any

from ihe.values import Oid
from xds.translate.qido_answer import read_patient, read_study


def _of(**values: Any) -> dict[str, Any]:
    return {tag.removeprefix("t"): {"vr": "LO", "Value": [value]} for tag, value in values.items()}


def test_series_keep_their_instances_and_say_where_they_are() -> None:
    instances = [
        _of(t0020000E="1.2.1", t00080060="CT", t00080016="1.2.840.10008.5.1.4.1.1.2", t00080018=f"1.2.1.{number}")
        for number in range(3)
    ] + [_of(t0020000E="1.2.2", t00080060="SR", t00080016="1.2.840.10008.5.1.4.1.1.88.11", t00080018="1.2.2.1")]
    header = _of(t00080020="20240714", t00080030="083015.5", t00080050="A1", t00081030="Thorax", t00180015="chest")
    study = read_study("1.2", instances, header, Oid("2.25.7"), Oid("2.25.8"), "http://pacs/dicom-web")
    assert [(series.uid, len(series.instances)) for series in study.series] == [("1.2.1", 3), ("1.2.2", 1)]
    assert study.modalities == ("CT",)
    assert (study.date, study.time) == (date(2024, 7, 14), time(8, 30, 15))
    assert study.retrieval.url == "http://pacs/dicom-web/studies/1.2"
    assert study.retrieval.location_uid == "2.25.8"
    assert study.accessions[0].issuer
    assert study.accessions[0].issuer.oid == "2.25.7"
    assert [region.code for region in study.regions] == ["67734004"]


def test_a_header_with_little_or_nonsense_is_read_as_far_as_it_goes() -> None:
    study = read_study("1.2", [], _of(t00080020="2024", t00080030="99", t00180015="NOWHERE"), None, None, "")
    assert (study.date, study.time, study.regions, study.accessions) == (None, None, (), ())
    assert read_patient({}).ids == ()
    patient = read_patient({"00100020": {"vr": "LO", "Value": ["7"]}, "00100010": {"vr": "PN"}})
    assert patient.ids[0].issuer is None


def test_an_issuer_is_read_from_name_and_qualifiers() -> None:
    qualifiers = {"vr": "SQ", "Value": [_of(t00400032="2.25.9", t00400033="ISO")]}
    patient = read_patient({**_of(t00100020="7", t00100021="CHUSE"), "00100024": qualifiers})
    issuer = patient.ids[0].issuer
    assert issuer
    assert (issuer.namespace, issuer.oid) == ("CHUSE", "2.25.9")
