"""Logs carry allowed fields only, and nothing that an exception or a library quotes."""

from __future__ import annotations

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from region.log_output import FIELDS, JsonFormatter, TextFormatter, set_up_logging

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("ihe", "mpi", "xds", "web", "region")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged(
    logger: str, message: str, *arguments: object, form: logging.Formatter | None = None, **details: object
) -> str:
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(form or JsonFormatter())
    log = logging.Logger(logger)
    log.addHandler(handler)
    log.error(message, *arguments, **details)  # type: ignore[arg-type]
    return output.getvalue()


def test_a_line_is_one_json_object_with_the_allowed_fields_only() -> None:
    line = logged("ihe.serving", "refused", extra={"transaction": "ITI-8", "correlation_id": "c1", "family": "DUPONT"})
    fields = json.loads(line)
    assert line.count("\n") == 1
    assert fields["message"] == "refused"
    assert (fields["transaction"], fields["correlation_id"], fields["level"]) == ("ITI-8", "c1", "error")
    assert "DUPONT" not in line


@pytest.mark.parametrize("form", [JsonFormatter(), TextFormatter()])
def test_of_an_exception_only_type_and_places_are_written(form: logging.Formatter) -> None:
    try:
        raise ValueError("DUPONT is no date")
    except ValueError as error:
        line = logged("mpi.services.feed_record", "failed", exc_info=error, form=form)
    assert "ValueError" in line
    assert "test_log_output.py" in line
    assert "DUPONT" not in line


def test_a_librarys_arguments_are_left_out() -> None:
    assert "DUPONT" not in logged("sqlalchemy.engine", "statement %s", "SELECT 'DUPONT'")


def test_text_is_for_people() -> None:
    line = logged("region.server", "listening", form=TextFormatter(), extra={"http_port": 8080})
    assert line.endswith("error   listening logger=region.server http_port=8080\n")


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.NOTSET)


def test_libraries_are_heard_from_warnings_on(logging_as_it_was: None, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("debug", "json")
    logging.getLogger("region.server").debug("ours")
    logging.getLogger("somelibrary").info("theirs")
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["ours"]


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    for file in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in {"log", "logger", "logging", "_log"}
            ):
                yield f"{file.relative_to(ROOT)}:{node.lineno}", node


def test_every_log_call_of_the_project_has_a_constant_sentence_and_allowed_fields() -> None:
    wrong = []
    for where, call in log_calls():
        if len(call.args) != 1 or not isinstance(call.args[0], ast.Constant):
            wrong.append(f"{where}: a log message is one constant sentence; values go into extra")
        for keyword in call.keywords:
            if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
                names = {key.value for key in keyword.value.keys if isinstance(key, ast.Constant)}
                wrong += [f"{where}: field {name} is not allowed in logs" for name in sorted(map(str, names - FIELDS))]
    assert wrong == []
