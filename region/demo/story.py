"""The story of the demonstration, told while it happens: every step asks the running service and checks the answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from ihe.values import PatientId
from mpi.domain.identity import RecordKey
from region.demo import viewer
from region.demo.mllp import MllpConnection
from region.demo.sites import Deliveries, send_feeds, send_studies
from region.demo.soap_answers import Refused
from region.demo.telling import Teller
from region.demo.viewer import Prior
from region.synthetic.cast import Character
from region.synthetic.population import Scenario, build
from region.synthetic.writing import HANDS


class StoryFault(Exception):
    """Something did not happen as the story says; one sentence."""


@dataclass(frozen=True, slots=True)
class StoryReport:
    """What was seen.

    Attributes:
        records, persons, tasks: in the index after the feeds.
        feed, studies: what was delivered.
        priors: of the patient, asked with ROANNE's number.
        seconds: for the whole story.
    """

    records: int
    persons: int
    tasks: int
    feed: Deliveries
    studies: Deliveries
    priors: tuple[Prior, ...]
    seconds: float


def run_story(
    http_base: str,
    mllp: tuple[str, int],
    console: Console,
    *,
    folder: Path,
    scenario: Scenario | None = None,
    pictures: Set[str] = frozenset(),
) -> StoryReport:
    """Tell the story against a running service. It may be told again: what was sent before changes nothing.

    Args:
        http_base: for example ``http://localhost:8080``.
        mllp: host and port.
        folder: where the requests are left for the reader; made when absent.
        scenario: the region; default the usual one.
        pictures: codes of the sites whose archives run.

    Raises:
        StoryFault: something did not happen as told.
    """
    teller = Teller(console, folder, mllp)
    try:
        with httpx.Client(timeout=60) as client, MllpConnection(*mllp) as connection:
            story = _Story(http_base.rstrip("/"), mllp, teller, scenario or build(), client, connection, pictures)
            return story.tell()
    except (Refused, httpx.HTTPError, OSError) as error:
        raise StoryFault(f"{type(error).__name__}: {error}") from error


class _Story:
    def __init__(
        self,
        base: str,
        mllp: tuple[str, int],
        teller: Teller,
        scenario: Scenario,
        client: httpx.Client,
        connection: MllpConnection,
        pictures: Set[str],
    ) -> None:
        self._base = base
        self._mllp = mllp
        self._teller = teller
        self._scenario = scenario
        self._client = client
        self._connection = connection
        self._pictures = pictures
        self._registry = f"{base}/ihe/registry"
        self._repository = f"{base}/ihe/repository"

    def tell(self) -> StoryReport:
        started = time.perf_counter()
        cast = self._scenario.cast
        roanne = cast.patient.records["ROANNE"]
        self._teller.open(
            "Ten establishments, each with its own patient numbers. One index, one imaging history.\n"
            "All patients, numbers and documents below are invented."
        )
        feed = self._feed(roanne)
        studies = self._register()
        summary = self._count()
        self._introduce(cast.patient)
        self._ask_for_identifiers(cast.patient, roanne)
        priors = self._ask_for_priors(cast.patient, roanne)
        self._fetch_pictures(roanne, priors)
        self._keep_the_twin_apart(cast.twin, priors)
        self._answer_wrongly_and_undo(cast.stranger, roanne, priors)
        seconds = time.perf_counter() - started
        self._teller.say(f"\nAll of this took {seconds:.1f} s.")
        return StoryReport(
            records=summary["records"],
            persons=summary["persons"],
            tasks=summary["tasks"],
            feed=feed,
            studies=studies,
            priors=priors,
            seconds=seconds,
        )

    def _feed(self, sample: RecordKey) -> Deliveries:
        self._teller.step("Ten sites send their patients", "HL7 v2 over MLLP, PAM France, three character sets")
        by_site = self._scenario.messages_by_site
        with self._teller.progress({site: len(messages) for site, messages in by_site.items()}) as advance:
            done = send_feeds(self._scenario, *self._mllp, advance)
        self._tell_deliveries(done, "messages")
        message = next(m for m in by_site[sample.domain] if m.local_id == sample.local_id)
        codec = HANDS[sample.domain].codec
        self._teller.show_hl7("feed.hl7", message.data, f"one of {len(self._scenario.messages)}", codec=codec)
        return done

    def _register(self) -> Deliveries:
        self._teller.step("They register their studies", "manifests and reports, XDS-I.b, under their own numbers")
        submissions = self._scenario.submissions
        with self._teller.progress(Counter(submission.site.code for submission in submissions)) as advance:
            done = send_studies(submissions, self._client, self._repository, advance)
        self._tell_deliveries(done, "submissions")
        return done

    def _count(self) -> Mapping[str, int]:
        self._teller.step("What the index made of them")
        url = f"{self._base}/api/summary"
        summary: Mapping[str, int] = self._json(self._client.get(url))
        self._teller.say(
            f"[bold]{summary['records']}[/] records became [bold]{summary['persons']}[/] persons; "
            f"[bold]{summary['tasks']}[/] questions wait for somebody to decide. "
            f"(In truth there are {len(self._scenario.persons)} persons.)"
        )
        self._teller.show_command(f"curl -s '{url}'")
        return summary

    def _introduce(self, patient: Character) -> None:
        self._teller.step(patient.name, "known at four sites under three names")
        table = Table("site", "number", "birth name", "given names", "used name", "born", "status", box=None)
        for site, key in patient.records.items():
            traits = self._scenario.records[key].traits
            table.add_row(
                site,
                key.local_id,
                traits.birth_family_name,
                " ".join(traits.birth_given_names),
                traits.used_family_name,
                traits.birth_date.iso if traits.birth_date else None,
                f"{traits.identity_status.value}{' with INS' if traits.ins else ''}",
            )
        self._teller.say(table)

    def _ask_for_identifiers(self, patient: Character, asked: RecordKey) -> None:
        self._teller.step("ROANNE asks with its own number", "and gets hers elsewhere, over HL7 v2 and over FHIR")
        mine = self._patient_id(asked)
        question = viewer.pix_query_v2(mine, "DEMO-PIX-1")
        url = viewer.pix_query_fhir_url(self._base, mine)
        before = time.perf_counter()
        over_v2 = viewer.ask_v2(self._connection, question)
        between = time.perf_counter()
        over_fhir = viewer.ask_fhir(self._client, url)
        after = time.perf_counter()
        table = Table("domain", "identifier", box=None)
        for identifier in over_v2:
            table.add_row(self._code_of(identifier), identifier.value)
        self._teller.say(table)
        self._teller.show_hl7("pix-query.hl7", question, _took(between - before))
        self._teller.show_command(f"curl -s '{url}'", _took(after - between))
        expected = set(patient.records.values()) - {asked}
        sites = {site.code for site in self._scenario.region.establishments}
        for wire, found in (("HL7 v2", over_v2), ("FHIR", over_fhir)):
            named = {RecordKey(self._code_of(identifier), identifier.value) for identifier in found}
            elsewhere = {key for key in named if key.domain in sites}
            _require(elsewhere == expected, f"over {wire}, the numbers at other sites are not exactly hers")

    def _ask_for_priors(self, patient: Character, asked: RecordKey) -> tuple[Prior, ...]:
        self._teller.step("A viewer at ROANNE asks for her prior studies", "with ROANNE's number and no other")
        question, priors, took = self._priors(asked)
        retrieval = viewer.retrieve_request(priors, self._repository)
        before = time.perf_counter()
        priors = viewer.read_manifests(self._client, self._repository, priors, retrieval)
        took_manifests = time.perf_counter() - before
        self._show_priors(priors, with_address=True)
        self._show_stored_query("find-priors.xml", question, took)
        self._teller.show_soap(
            "retrieve-manifests.mime",
            viewer.as_mtom(retrieval, viewer.RETRIEVE),
            viewer.content_type_of(viewer.RETRIEVE, mtom=True),
            self._repository,
            f"{len(priors)} manifests, {_took(took_manifests)}",
        )
        url = viewer.priors_url(self._base, self._patient_id(asked))
        before = time.perf_counter()
        listed = {study["study_instance_uid"] for study in self._json(self._client.get(url))["studies"]}
        self._teller.show_command(f"curl -s '{url}'", f"the same in one call, {_took(time.perf_counter() - before)}")
        _require(listed == {prior.study_uid for prior in priors}, "the two ways to ask for priors disagree")
        found = {RecordKey(self._code_of(prior.source_patient_id), prior.source_patient_id.value) for prior in priors}
        _require(found == set(patient.records.values()), "the history is not exactly that of her four sites")
        _require(all(prior.fetch_urls for prior in priors), "a study does not say where it can be fetched")
        return priors

    def _fetch_pictures(self, asked: RecordKey, priors: Sequence[Prior]) -> None:
        """One picture of each study whose archive runs; nothing where none does."""
        root = f"{self._base}/dicom-web/domains/{asked.domain}"
        table = Table("site", "number there", "number shown", "picture", box=None)
        address = ""
        for prior in priors:
            if self._code_of(prior.source_patient_id) not in self._pictures:
                continue
            address = f"{root}/studies/{prior.study_uid}"
            picture = viewer.fetch_picture(self._client, address)
            table.add_row(
                self._code_of(prior.source_patient_id),
                picture.number_there,
                picture.number_shown,
                f"{picture.columns} × {picture.rows}, {picture.size / 1000:.0f} kB",
            )
            _require(picture.number_shown == asked.local_id, "a picture does not carry the number that was asked with")
            _require(picture.number_there == prior.source_patient_id.value, "a picture is another patient's")
        if address:
            self._teller.step("It fetches her pictures", "at one address, under ROANNE's number, whoever took them")
            self._teller.say(table)
            self._teller.show_command(f"curl -s -o picture '{address}/thumbnail'")

    def _keep_the_twin_apart(self, twin: Character, priors: Sequence[Prior]) -> None:
        self._teller.step(twin.name, "born the same day in the same town: her studies are not among them")
        question, hers, took = self._priors(twin.records["ROANNE"])
        self._show_priors(hers)
        self._show_stored_query("find-twins-priors.xml", question, took)
        _require(bool(hers) and not _documents(hers) & _documents(priors), "the twins' studies were mixed")

    def _answer_wrongly_and_undo(self, stranger: Character, asked: RecordKey, priors: Sequence[Prior]) -> None:
        self._teller.step("A question is answered wrongly", f"{stranger.name}: the same, or another?")
        (other,) = stranger.records.values()
        self._teller.say(
            f"FIRMINY knows an {stranger.person.given_names[0]} {stranger.person.family_name.upper()}, born on "
            f"{stranger.person.birth_date.isoformat()}. The index doesn't link her, it asks. Somebody says: the same."
        )
        decision = {
            "a": {"domain": asked.domain, "local_id": asked.local_id},
            "b": {"domain": other.domain, "local_id": other.local_id},
            "verdict": "same",
            "reason": "demonstration of a mistake",
        }
        event = self._post(f"{self._base}/api/links", decision)["event_id"]
        _, linked, _ = self._priors(asked)
        added = _documents(linked) - _documents(priors)
        self._show_priors(linked, marked=added)
        self._post(f"{self._base}/api/events/{event}/undo", {"reason": "she is another person"})
        _, restored, took = self._priors(asked)
        self._teller.say(
            f"Undone: {len(restored)} studies again, the {len(added)} of the stranger gone ({_took(took)})."
        )
        _require(bool(added) and _documents(priors) <= _documents(linked), "the link did not join the two histories")
        _require(_documents(restored) == _documents(priors), "the undone link left a trace in the history")

    def _priors(self, asked: RecordKey) -> tuple[bytes, tuple[Prior, ...], float]:
        question = viewer.find_manifests_request(self._patient_id(asked), self._registry)
        before = time.perf_counter()
        found = viewer.find_manifests(self._client, self._registry, question)
        return question, found, time.perf_counter() - before

    def _show_stored_query(self, name: str, question: bytes, took: float) -> None:
        content_type = viewer.content_type_of(viewer.FIND_DOCUMENTS, mtom=False)
        self._teller.show_soap(name, question, content_type, self._registry, _took(took))

    def _show_priors(
        self, priors: Iterable[Prior], *, with_address: bool = False, marked: Set[str] = frozenset()
    ) -> None:
        study = "study, and where its images are fetched" if with_address else "study"
        table = Table("date", "site", "number there", "", "images" if with_address else "", box=None)
        table.add_column(study, overflow="fold")
        for prior in priors:
            date = f"{prior.study_date[:4]}-{prior.study_date[4:6]}-{prior.study_date[6:]}"
            identifier = prior.source_patient_id
            study = prior.title
            if with_address and prior.fetch_urls:
                study += f"\n[dim]{prior.fetch_urls[0].split('/series/')[0]}[/]"
            table.add_row(
                date, self._code_of(identifier), identifier.value, prior.modality, str(prior.images or ""), study,
                style="bold red" if prior.document_unique_id in marked else None,
            )  # fmt: skip
        self._teller.say(table)

    def _tell_deliveries(self, done: Deliveries, what: str) -> None:
        self._teller.say(
            f"{done.accepted} {what} accepted in {done.seconds:.1f} s ({done.accepted / done.seconds:.0f} a second); "
            f"half of the answers came within {done.percentile_ms(0.5):.0f} ms, "
            f"99 in 100 within {done.percentile_ms(0.99):.0f} ms."
        )
        _require(not done.refused, f"{len(done.refused)} {what} were refused, the first: {done.refused[:1]}")

    def _code_of(self, identifier: PatientId) -> str:
        domain = self._scenario.region.by_authority(identifier.authority)
        return domain.code if domain else str(identifier.authority.oid)

    def _patient_id(self, key: RecordKey) -> PatientId:
        return PatientId(key.local_id, self._scenario.region.by_code(key.domain).authority)

    def _post(self, url: str, body: Mapping[str, Any]) -> Any:
        self._teller.show_post(url, body)
        return self._json(self._client.post(url, json=body))

    def _json(self, answer: httpx.Response) -> Any:
        _require(answer.status_code == 200, f"{answer.request.url} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()


def _documents(priors: Iterable[Prior]) -> frozenset[str]:
    return frozenset(prior.document_unique_id for prior in priors)


def _took(seconds: float) -> str:
    return f"answered in {1000 * seconds:.1f} ms"


def _require(happened: bool, otherwise: str) -> None:
    if not happened:
        raise StoryFault(otherwise)
