"""What the service is made of: the bill names each package of the lock with its hash."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_bill_names_every_package_of_the_lock(tmp_path: Path) -> None:
    bill = tmp_path / "sbom.json"
    recipe = re.search(r"^sbom:.*\n\t@mkdir -p build && (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    command = recipe.group(1).replace("$(BIN)", str(Path(sys.executable).parent)).replace("build/sbom.json", str(bill))
    subprocess.run(shlex.split(command), check=True, cwd=ROOT, capture_output=True)
    components = json.loads(bill.read_text())["components"]
    named = {f"{each['name']}=={each['version']}" for each in components}
    locked = set(re.findall(r"^([\w.-]+==[^ ;\\]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert locked == named
    assert all(re.search(r"SHA-256", json.dumps(each)) for each in components)
