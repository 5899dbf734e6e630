"""Every text of the workbench is in the French catalogue; codes are worded in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.extract import extract_from_file

from mpi.domain.identity import IdentityStatus, Traits
from mpi.domain.levels import FIELDS, GENERIC_FIELDS
from mpi.domain.partition import TaskKind
from mpi.domain.record import RecordState
from mpi.domain.stewardship import ANSWERS, Stage
from mpi.domain.vetoes import Hint, Veto
from mpi.services.find_resembling import RELATIVES
from mpi.store.quality import MEASURES
from mpi.store.worklist import ORDERS
from region.settings import Settings
from web.catalogue import catalogue
from web.pages.task import REASONS, REASONS_ABOUT_ONE, TRAITS
from web.pages.worklist import ACTIONS, KINDS
from web.roles import EVERYBODY

WEB = Path(__file__).resolve().parents[2] / "web"
_CODE = re.compile(r"[a-z][A-Za-z0-9_.-]*$")


def said_in_code() -> set[str]:
    found: set[str] = set()
    for path in sorted(WEB.rglob("*.html")):
        for _, messages, _, _ in extract_from_file("jinja2.ext:babel_extract", str(path)):
            found.update([messages] if isinstance(messages, str) else messages)
    for path in sorted(WEB.rglob("*.py")):
        for _, messages, _, _ in extract_from_file("python", str(path), keywords={"t": None}):
            found.update([messages] if isinstance(messages, str) else [m for m in messages if m])
    return found


def test_every_text_is_said_in_french() -> None:
    assert len(said_in_code()) > 30
    assert sorted(said_in_code() - catalogue("fr").keys()) == []


def test_codes_are_worded_in_both_languages() -> None:
    codes = {key for key in catalogue("fr").keys() - said_in_code() if _CODE.match(key)}
    assert codes
    assert sorted(codes - catalogue("en").keys()) == []


def _codes() -> set[str]:
    """Every code that a page may have to say."""
    events = {
        kind
        for path in (WEB.parent / "mpi" / "services").rglob("*.py")
        for kind in re.findall(r'"((?:record|pair|task|model|population|bulk|domain)\.[a-z_]+)"', path.read_text())
    }
    levels = {level.name for kinds in (FIELDS, GENERIC_FIELDS) for kind in kinds.values() for level in kind}
    about_one = (TaskKind.SUSPECTED_OVERLAY, TaskKind.DOUBTFUL_IDENTITY)
    return {
        *(str(kind) for kind in TaskKind),
        *EVERYBODY,
        *(f"stage.{stage}" for stage in Stage),
        *(f"order.{order}" for order in ORDERS),
        *(f"action.{action}" for action in ACTIONS),
        *(f"answer.{answer}" for answer in ANSWERS),
        *(f"answer.{kind}.{answer}" for kind in about_one for answer in ANSWERS),
        *(reason for reasons in (REASONS, REASONS_ABOUT_ONE) for each in reasons.values() for reason in each),
        *(f"trait.{name}" for name, _ in TRAITS),
        *(f"field.{name}" for name in (*FIELDS, *GENERIC_FIELDS)),
        *(f"level.{name}" for name in levels - {"MISSING"}),
        *(f"veto.{veto.name}" for veto in Veto),
        *(f"hint.{hint.name}" for hint in Hint),
        *(f"relation.{veto.name}" for veto in RELATIVES),
        *(f"state.{state}" for state in RecordState),
        *(f"status.{status}" for status in IdentityStatus),
        *(f"event.{kind}" for kind in events - {"person.changed"}),
        *(f"measure.{measure}" for measure in MEASURES),
        *(f"definition.{measure}" for measure in MEASURES),
    }


def test_every_code_is_worded() -> None:
    assert set(KINDS) == {str(kind) for kind in TaskKind}
    assert {name for name, _ in TRAITS} <= set(Traits.__dataclass_fields__)
    for language in ("fr", "en"):
        assert sorted(_codes() - catalogue(language).keys()) == [], language


def test_every_refusal_of_a_page_is_said_in_french() -> None:
    modules = ("answer_task", "take_task", "take_back", "read_worklist", "person_file", "quality_measures")
    modules += ("saved_views", "govern_models", "undo_event", "decide_pair", "find_patients")
    paths = [*(WEB / "pages").glob("*.py"), *(WEB.parent / "mpi" / "services" / f"{name}.py" for name in modules)]
    paths += [WEB / "workbench.py", WEB / "page.py", WEB / "oidc.py", WEB.parent / "xds/services/imaging_oddities.py"]
    said = {text for path in paths for text in re.findall(r'raise \w+\(\s*"([^"\n]+)"', path.read_text())}
    assert len(said) > 40
    assert sorted(said - catalogue("fr").keys()) == []


def _meanings() -> set[str]:
    return {field.description or "" for field in Settings.model_fields.values()}


def test_every_setting_is_explained_in_french() -> None:
    assert sorted(_meanings() - catalogue("fr").keys()) == []


def test_no_text_is_kept_that_nobody_says() -> None:
    unsaid = {key for key in catalogue("fr").keys() - said_in_code() if not _CODE.match(key)}
    refusals = {
        text.strip('"')
        for path in (*WEB.rglob("*.py"), *(WEB.parent / "mpi").rglob("*.py"), *(WEB.parent / "xds").rglob("*.py"))
        for text in re.findall(r'"[^"\n]+"', path.read_text())
    }
    assert sorted(unsaid - refusals - _meanings()) == []
