"""What every source file must be: short, introduced, named for what it does, finished."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ihe", "mpi", "xds", "web", "region", "bench")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST_MODULE_LINES = 500
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
UNFINISHED = re.compile(r"#.*\b(TODO|FIXME|XXX)\b|raise NotImplementedError\b")
TRANSACTION_FILE = re.compile(r"^(iti|rad)\d+_[a-z0-9_]+\.py$")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_too_long() -> None:
    long = {
        named(path): count for path in MODULES if (count := len(path.read_text().splitlines())) > LONGEST_MODULE_LINES
    }
    assert long == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        named(path)
        for path in MODULES + TESTS
        if path.read_text() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_no_module_has_a_vague_name() -> None:
    assert [named(path) for path in MODULES if path.stem in VAGUE_NAMES or path.parent.name in VAGUE_NAMES] == []


def test_a_transaction_is_found_by_its_number() -> None:
    files = [path for package in ("mpi", "xds") for path in (ROOT / package / "transactions").glob("[!_]*.py")]
    assert files
    assert [named(path) for path in files if not TRANSACTION_FILE.match(path.name)] == []


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{named(path)}:{number}"
        for path in MODULES + [path for path in TESTS if path != Path(__file__)]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert found == []


def test_a_skipped_test_says_why() -> None:
    silent = []
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"pytest.mark.skip", "pytest.mark.skipif"}:
                if not any(keyword.arg == "reason" for keyword in node.keywords):
                    silent.append(f"{named(path)}:{node.lineno}")
            elif isinstance(node, ast.Attribute) and ast.unparse(node) == "pytest.mark.xfail":
                silent.append(f"{named(path)}:{node.lineno}")
    assert silent == []


def test_the_tests_stand_where_the_code_stands() -> None:
    """``tests/unit/<package>/<part>/`` mirrors a folder or a module of the code."""
    strays = []
    for folder in sorted(path for path in (ROOT / "tests" / "unit").rglob("*") if path.is_dir()):
        code = ROOT / folder.relative_to(ROOT / "tests" / "unit")
        if folder.name != "__pycache__" and not code.is_dir() and not code.with_suffix(".py").is_file():
            strays.append(named(folder))
    assert strays == []


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: there is no list of the project's files")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    personal = re.compile(rb"(?<![\w.~$}/-])/(?:home|root|Users)/[a-z.]")
    found = [named(path) for path in tracked_files() if path.suffix != ".lock" and personal.search(path.read_bytes())]
    assert found == []


def test_no_file_is_large() -> None:
    assert [named(path) for path in tracked_files() if path.stat().st_size > 1024 * 1024] == []
