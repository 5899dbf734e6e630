"""The invented region: one seed one region, readable by others, true to its ground truth, and full of trouble."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import hl7
import pytest

from ihe.hl7v2.er7 import Message
from mpi.domain.identity import IdentityStatus, RecordKey, Sex
from region.synthetic.__main__ import main
from region.synthetic.civil_status import fictitious_nir, nir_key
from region.synthetic.population import Scenario, build
from region.synthetic.writing import HANDS

FIXTURES = Path(__file__).parents[4] / "fixtures"
SAMPLE_ARGUMENTS = ("--seed", "13", "--persons", "100", "--hard-cases")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, second, other = build(7, 150), build(7, 150), build(8, 150)
    assert [m.data for m in first.messages] == [m.data for m in second.messages]
    assert first.records == second.records
    assert [m.data for m in first.messages] != [m.data for m in other.messages]


def test_it_is_large_enough(scenario: Scenario) -> None:
    assert len(scenario.persons) >= 600
    assert len(scenario.truth) >= 1400
    assert set(scenario.messages_by_site) == {site.code for site in scenario.region.establishments}
    triggers = Counter(message.trigger for message in scenario.messages)
    assert triggers.keys() >= {"A28", "A31", "A40", "A47", "Z99", "A01", "A02", "A03", "A04", "A05", "A11", "A13"}
    assert triggers["A31"] >= 100
    assert triggers["A40"] >= 15
    assert triggers["A47"] >= 10


def test_a_region_too_small_for_its_hard_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 100"):
        build(persons=99)


def test_control_ids_are_unique_and_short(scenario: Scenario) -> None:
    ids = [message.control_id for message in scenario.messages]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 20


def test_every_message_reads_as_its_charset_says(scenario: Scenario) -> None:
    accented: Counter[str] = Counter()
    for message in scenario.messages:
        parsed = Message.parse(message.data)
        assert not parsed.charset_fallback
        assert parsed.charset.codec in ("utf-8", "iso8859-1", "iso8859-15")
        assert bytes(parsed) == message.data
        assert parsed.trigger_event == message.trigger
        assert parsed.control_id == message.control_id
        assert parsed.sender == ("GAM", message.site)
        assert parsed.msh.text(9, 3).startswith("ADT_A")
        assert parsed.segment("EVN") is not None
        if not message.data.isascii():
            accented[parsed.charset.name] += 1
    assert accented.keys() == {"UNICODE UTF-8", "8859/1", "8859/15"}
    assert min(accented.values()) > 100


def test_another_library_reads_the_same_patient(scenario: Scenario) -> None:
    for message in scenario.messages[::20]:
        parsed = hl7.parse(message.data.decode(HANDS[message.site].codec))
        identifier = str(parsed.segment("PID")[3]).split("~")[0].split("^")
        assert identifier[0] == message.local_id
        assert identifier[3] == f"{message.site}&{scenario.region.by_code(message.site).oid}&ISO"
        assert identifier[4] == "PI"


def test_what_a_site_said_last_is_what_the_truth_says(scenario: Scenario) -> None:
    said: dict[RecordKey, tuple[str, Message]] = {}
    for message in scenario.messages:
        parsed = Message.parse(message.data)
        pid = parsed.segment("PID")
        assert pid is not None
        key = RecordKey(message.site, message.local_id)
        if key not in said or pid.text(33) >= said[key][0]:
            said[key] = pid.text(33), parsed
    assert said.keys() == scenario.records.keys()
    for key, (_, parsed) in said.items():
        pid = parsed.segment("PID")
        assert pid is not None
        traits = scenario.records[key].traits
        birth = next(name for name in pid.field(5).repetitions if name.text(7) == "L")
        assert birth.text(1) == traits.birth_family_name
        assert birth.text(2) == traits.first_birth_given_name
        assert tuple(birth.text(3).split()) == tuple(" ".join(traits.birth_given_names).split())
        assert pid.text(8) == (traits.sex or "")
        assert pid.text(7) == (traits.birth_date.hl7 if traits.birth_date and traits.birth_date.is_full else "")
        places = [address.text(9) for address in pid.field(11).repetitions if address.text(7) == "BDL"]
        assert places == ([traits.birth_place_code] if traits.birth_place_code else [])
        ins = [cx.text(1) for cx in pid.field(3).repetitions if cx.text(5) == "INS"]
        assert ins == ([traits.ins] if traits.ins else [])
        status = {"QUAL": "VALI", "RECUP": "PROV"}.get(traits.identity_status, traits.identity_status.value)
        written = [attribute.raw for attribute in pid.field(32).repetitions]
        assert written == [status, *sorted(traits.identity_attributes)]


def test_late_news_of_the_past_are_in_the_feed(scenario: Scenario) -> None:
    latest: dict[RecordKey, str] = {}
    late = 0
    for message in scenario.messages:
        pid = Message.parse(message.data).segment("PID")
        assert pid is not None
        key = RecordKey(message.site, message.local_id)
        late += pid.text(33) < latest.get(key, "")
        latest[key] = max(pid.text(33), latest.get(key, ""))
    assert late >= 3


def test_messages_of_a_site_come_in_time_order(scenario: Scenario) -> None:
    for messages in scenario.messages_by_site.values():
        times = [Message.parse(message.data).msh.text(7) for message in messages]
        assert times == sorted(times)


@pytest.mark.parametrize(
    ("body", "key"),
    [("2790351215189", "89"), ("199102A004000", "58"), ("285052B033000", "62"), ("2480342218000", "10")],
)
def test_the_key_of_a_nir(body: str, key: str) -> None:
    assert nir_key(body) == key


def test_national_numbers_are_valid_fictitious_and_never_shared(scenario: Scenario) -> None:
    owners: dict[str, set[int]] = defaultdict(set)
    for record in scenario.records.values():
        ins = record.traits.ins
        if ins is None:
            continue
        assert len(ins) == 15
        assert ins[10:13] == "000"
        assert nir_key(ins[:13]) == ins[13:]
        owners[ins].add(record.person)
        person = scenario.persons[record.person]
        assert ins == fictitious_nir(person.sex, person.birth_date, person.birth_place)
    assert len(owners) > 250
    assert all(len(persons) == 1 for persons in owners.values())
    assert fictitious_nir(Sex.MALE, date(1990, 2, 1), "2A004").startswith("190022A004000")


def test_qualified_means_checked_traits_with_an_ins(scenario: Scenario) -> None:
    statuses = Counter(record.traits.identity_status for record in scenario.records.values())
    assert statuses[IdentityStatus.RECUP] >= 5
    assert min(statuses[status] for status in (IdentityStatus.PROV, IdentityStatus.VALI, IdentityStatus.QUAL)) > 200
    for record in scenario.records.values():
        traits = record.traits
        if traits.identity_status is IdentityStatus.QUAL:
            assert traits.has_qualified_ins
            assert traits.birth_place_code
            assert traits.birth_given_names
            assert not traits.identity_attributes


def test_the_truth_is_consistent(scenario: Scenario) -> None:
    for key, record in scenario.records.items():
        assert record.person in scenario.persons
        if record.merged_into is not None:
            survivor = scenario.records[record.merged_into]
            assert survivor.person == record.person
            assert survivor.merged_into is None
            assert record.merged_into.domain == key.domain
    pairs = list(scenario.true_pairs())
    assert len(pairs) > 1200
    assert all(scenario.truth[a] == scenario.truth[b] and a < b for a, b in pairs)
    out = io.StringIO()
    scenario.write_truth(out)
    assert len(out.getvalue().splitlines()) == len(scenario.records) + 1


def test_the_realities_of_identification_are_all_there(scenario: Scenario) -> None:
    roles = Counter(person.role for person in scenario.persons.values())
    for role, at_least in {
        "twin": 12,
        "homonym": 10,
        "namesake": 10,
        "newborn": 8,
        "mother": 6,
        "anonymous": 1,
    }.items():
        assert roles[role] >= at_least, role
    traits = [record.traits for record in scenario.records.values()]
    attributes = Counter(attribute for t in traits for attribute in t.identity_attributes)
    assert attributes.keys() >= {"CACH", "ANOM", "DOUT", "FICT"}
    assert sum(bool(t.used_family_name) for t in traits) > 300
    assert sum("-" in (t.first_birth_given_name or "") for t in traits) > 30
    assert sum(t.birth_date is not None and t.birth_date.month == 12 and t.birth_date.day == 31 for t in traits) > 10
    assert sum(t.birth_date is not None and not t.birth_date.is_full for t in traits) >= 1
    assert sum(bool(t.multiple_birth) for t in traits) > 20
    assert any(m.trigger == "A28" and b"^BEBE^" in m.data for m in scenario.messages)
    assert any(m.trigger == "A31" and b"1.2.250.1.213.1.4.8" in m.data for m in scenario.messages)
    assert any(b"1.2.250.1.213.1.4.9" in m.data for m in scenario.messages)
    assert any("Œ" in m.data.decode(HANDS[m.site].codec) for m in scenario.messages)


def test_one_number_means_different_people_at_different_sites(scenario: Scenario) -> None:
    persons: dict[str, set[int]] = defaultdict(set)
    for key, person in scenario.truth.items():
        persons[key.local_id].add(person)
    assert any(len(found) > 1 for found in persons.values())


def test_no_two_people_who_are_not_made_to_be_alike_share_names_and_birth_date(scenario: Scenario) -> None:
    seen: dict[tuple[str, str, date], str] = {}
    for person in scenario.persons.values():
        key = (person.family_name, person.given_names[0], person.birth_date)
        assert key not in seen or seen[key] == person.role == "homonym"
        seen[key] = person.role


def test_the_cast_is_as_the_story_needs_it(scenario: Scenario) -> None:
    patient, twin, stranger = scenario.cast.everyone
    assert patient.records.keys() == {"CHUSE", "ROANNE", "ANNONAY", "ICL"}
    assert twin.records.keys() == {"CHUSE", "ROANNE"}
    assert stranger.records.keys() == {"FIRMINY"}
    for character in scenario.cast.everyone:
        for site, key in character.records.items():
            assert key.domain == site
            assert scenario.truth[key] == character.person.number
    family = {site: scenario.records[key].traits.birth_family_name for site, key in patient.records.items()}
    assert family == {"CHUSE": "VALDOYER", "ROANNE": "VALDOYER", "ANNONAY": "Valdoier", "ICL": "BRUYERON"}
    assert build(3, 100).cast.patient.records.keys() == patient.records.keys()


def test_the_committed_sample_is_what_the_generator_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["synthetic", str(tmp_path), *SAMPLE_ARGUMENTS])
    main()
    for name in ("feed.hl7", "truth.csv"):
        assert (tmp_path / name).read_bytes() == (FIXTURES / "sample" / name).read_bytes(), name
