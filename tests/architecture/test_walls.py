"""The walls between packages hold, and would be seen to fall."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = tuple(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"])


def lint_imports(folder: Path) -> tuple[int, str]:
    """Exit status and report of import-linter over a source tree."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_walls_hold() -> None:
    status, report = lint_imports(ROOT)
    assert status == 0, report


def test_each_wall_is_seen_to_fall_when_it_is_broken(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "ihe" / "planted.py").write_text("import mpi.api\n")
    (tmp_path / "mpi" / "planted.py").write_text('"""A part of the package that no layer names."""\n')
    (tmp_path / "mpi" / "domain" / "planted.py").write_text("import sqlalchemy\n")
    (tmp_path / "xds" / "domain" / "planted.py").write_text("import xds.services\n")
    (tmp_path / "xds" / "services" / "planted.py").write_text("import psycopg\n")
    status, report = lint_imports(tmp_path)
    assert status == 1, report
    assert "0 kept, 5 broken" in report, report


def test_every_package_stands_behind_the_walls() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"bench"}
    assert found == set(PACKAGES)
