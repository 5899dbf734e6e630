"""Patient ⇄ traits: what is written is valid R4, reads back as it was, and is the same in XML."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime

from fhir.resources.R4B.patient import Patient
from hypothesis import given, settings
from hypothesis import strategies as st

from ihe.errors import IheError
from ihe.fhir.formats import to_xml
from ihe.fhir.subset import SUMMARY_VALUES, Subset
from ihe.values import AssigningAuthority, Oid, PartialDate, PatientId
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.domain.record import Record, RecordState
from mpi.translate.fhir_patient import patient_resource, traits
from mpi.translate.fhir_search import SEARCH_PARAMETERS, read_query

NAMES = st.text("ABCDEFÉÈÇ'-", min_size=1, max_size=12)
DATES = st.dates(date(1900, 1, 1), date(2030, 1, 1)).map(lambda d: PartialDate(d.year, d.month, d.day)) | st.builds(
    PartialDate, st.integers(1900, 2030), st.integers(1, 12)
)
STATEMENTS = st.builds(
    Traits,
    birth_family_name=NAMES,
    birth_given_names=st.lists(NAMES, min_size=1, max_size=4).map(tuple),
    used_family_name=st.none() | NAMES,
    used_given_name=st.none() | NAMES,
    sex=st.none() | st.sampled_from(Sex),
    birth_date=st.none() | DATES,
    birth_place_code=st.none() | st.sampled_from(["42218", "2A004", "99134"]),
    address=st.none() | NAMES,
    postal_code=st.none() | st.just("42300"),
    city=st.none() | NAMES,
    phone=st.none() | st.just("0477000042"),
    email=st.none() | st.just("exemple@example.org"),
    identity_status=st.sampled_from(IdentityStatus),
    identity_attributes=st.frozensets(st.sampled_from(["HOMO", "DOUT", "FICT"])),
    mother_family_name=st.none() | NAMES,
    multiple_birth=st.none() | st.booleans(),
    death_date=st.none() | DATES,
)
OWN = PatientId("C1", AssigningAuthority(oid=Oid("1.2.3")), "PI")


def record_of(stated: Traits) -> Record:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return Record(7, RecordKey("CHUSE", "C1"), RecordState.ACTIVE, 5, None, None, 3, stated, moment, None)


@given(STATEMENTS)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_valid_and_reads_back(stated: Traits) -> None:
    resource = patient_resource(record_of(stated), (OWN,))
    model = Patient.model_validate(resource)
    again = traits(resource)
    first = stated.birth_given_names[0]
    assert again.birth_given_names == stated.birth_given_names
    assert again.first_birth_given_name == first
    for name in Traits.__dataclass_fields__:
        if name not in ("birth_given_names", "first_birth_given_name"):
            assert getattr(again, name) == getattr(stated, name), name
    assert Patient.model_validate_xml(to_xml(resource)).model_dump() == model.model_dump()


@given(STATEMENTS, st.sampled_from(SUMMARY_VALUES))
@settings(max_examples=40, deadline=None)
def test_a_subset_is_valid_and_adds_nothing(stated: Traits, summary: str) -> None:
    resource = patient_resource(record_of(stated), (OWN,))
    part = Subset(summary).of(resource)
    Patient.model_validate(part)
    assert all(resource[name] == value for name, value in part.items() if name != "meta")


@given(
    st.lists(
        st.tuples(
            st.sampled_from([name for name, _ in SEARCH_PARAMETERS] + ["_count", "_summary", "other"]).flatmap(
                lambda name: st.sampled_from([name, f"{name}:exact", f"{name}:contains", f"{name}:x"])
            ),
            st.text(max_size=20) | st.sampled_from(["ge1990", "urn:oid:1.2.3|x", "urn:oid:1.2.3|", "a\\,b", "male"]),
        ),
        max_size=5,
    ),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_any_search_is_read_or_refused(parameters: list[tuple[str, str]], lenient: bool) -> None:
    with suppress(IheError):
        assert read_query(parameters, lenient=lenient).count <= 200
