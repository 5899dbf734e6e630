"""What the invented sites send, read by the registry's own readers and checks: nothing is lost, nothing is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest

from ihe.soap.mtom import MessageReader
from ihe.soap.sinks import SpoolSink
from ihe.values import PatientId
from region.synthetic.population import Scenario, build
from region.synthetic.provide_and_register import ACTION, to_provide_and_register
from xds.application import load_value_sets
from xds.domain.checks import check_submission
from xds.domain.manifest_checks import check_manifest
from xds.domain.model import Submission
from xds.translate.ebxml_reader import read_submission
from xds.translate.kos_manifest import read_kos

SUBMIT = "{urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0}SubmitObjectsRequest"
PATIENT = "TDU0000000001^^^&1.2.3&ISO"


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build()


def read(scenario: Scenario, index: int) -> tuple[Submission, dict[str, str]]:
    content_type, body = to_provide_and_register(scenario.submissions[index], PATIENT).body()
    reader = MessageReader(content_type, lambda *_: SpoolSink())
    for start in range(0, len(body), 1000):
        reader.feed(body[start : start + 1000])
    message = reader.close()
    assert message.action == ACTION
    hashes = {name: attachment.facts.sha1 for name, attachment in message.attachments.items()}
    reader.discard()
    return read_submission(next(message.root.iter(SUBMIT))), hashes


@pytest.mark.parametrize("index", range(0, 300, 30))
def test_the_registry_reads_what_was_meant_and_finds_nothing_wrong(scenario: Scenario, index: int) -> None:
    sent = scenario.submissions[index]
    submission, hashes = read(scenario, index)
    assert hashes == {f"{entry.id}@source": entry.hash for entry, _ in sent.documents}
    assert submission.findings == ()
    patient = PatientId.from_xds_cx(PATIENT)
    expected = [replace(entry, patient_id=patient) for entry, _ in sent.documents]
    assert list(submission.entries) == expected
    assert submission.submission_set == replace(sent.submission_set, patient_id=patient)
    complete = replace(
        submission, entries=tuple(replace(entry, repository_unique_id="1.2.3") for entry in submission.entries)
    )
    assert check_submission(complete, load_value_sets()) == []


def test_every_manifest_says_what_its_metadata_say(scenario: Scenario) -> None:
    for submission in scenario.submissions[::15]:
        entry, data = submission.documents[0]
        assert list(check_manifest(read_kos(data, UTC), entry, UTC)) == []
