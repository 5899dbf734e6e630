"""Named pairs of records with the outcome that the domain's rules demand, read from ``tests/accuracy/adversarial``.

``python -m bench.adversarial`` prints the cases that the engine decides otherwise.

The expectations were written from the rules before the engine existed; they change only when a rule was
misread, never because the engine disagrees.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.engine import link
from bench.population.people import nir_key
from ihe.values import PartialDate
from mpi.domain.cleaning import clean
from mpi.domain.default_models import default_french
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.domain.model import MatchModel
from mpi.domain.scoring import score

FOLDER = Path(__file__).parent.parent / "tests" / "accuracy" / "adversarial"
INS_NIR_OID = "1.2.250.1.213.1.4.8"

OUTCOMES: Mapping[str, frozenset[str]] = {
    "link": frozenset({"link"}),
    "task": frozenset({"task"}),
    "separate": frozenset({"separate"}),
    "not-link": frozenset({"task", "separate"}),
    "not-separate": frozenset({"link", "task"}),
}
"""What each expectation allows: an automatic link, a task for a person, or two persons without a task."""


@dataclass(frozen=True, slots=True)
class Case:
    """Two records and what may become of them.

    Attributes:
        topic: the file it stands in.
        expect: a key of ``OUTCOMES``.
        keys: of both records; in one domain when the case is about a single site.
    """

    name: str
    topic: str
    expect: str
    a: Traits
    b: Traits
    keys: tuple[RecordKey, RecordKey]

    @property
    def allowed(self) -> frozenset[str]:
        """The outcomes that satisfy the expectation."""
        return OUTCOMES[self.expect]


def cases(folder: Path = FOLDER) -> list[Case]:
    """Every case, by file and in the file's order.

    Raises:
        KeyError: a case names a base or an expectation that does not exist.
        ValueError: a field that a record can't have, or a malformed value.
    """
    bases = tomllib.loads((folder / "bases.toml").read_text("utf-8"))
    found: list[Case] = []
    for file in sorted(folder.glob("*.toml")):
        for case in tomllib.loads(file.read_text("utf-8")).get("cases", ()):
            base = bases[case["base"]]
            domains = ("CHUSE", "CHUSE" if case.get("same_site") else "ROANNE")
            found.append(
                Case(
                    case["name"],
                    file.stem,
                    case["expect"],
                    _traits({**base, **case.get("a", {})}),
                    _traits({**base, **case.get("b", {})}),
                    (RecordKey(domains[0], f"A{len(found)}"), RecordKey(domains[1], f"B{len(found)}")),
                )
            )
            OUTCOMES[case["expect"]]
    return found


def outcome(case: Case, model: MatchModel | None = None) -> str:
    """``link``, ``task`` or ``separate``, as the engine decides when nothing else exists.

    Args:
        model: the French default when ``None``.
    """
    linkage = link(zip(case.keys, (case.a, case.b), strict=True), model)
    if linkage.clusters[case.keys[0]] == linkage.clusters[case.keys[1]]:
        return "link"
    return "task" if linkage.tasks else "separate"


_FIELDS = frozenset(
    {"name", "given", "first", "used", "used_given", "sex", "born", "place", "street", "zip", "city", "phone"}
    | {"email", "ins", "oid", "nokey", "status", "flags", "mother", "multiple", "rank", "interpreted"}
)


def _traits(fields: Mapping[str, Any]) -> Traits:
    if unknown := set(fields) - _FIELDS:
        raise ValueError(f"a record has no field {sorted(unknown)}")
    given = tuple(fields["given"].split())
    ins = fields.get("ins")
    if ins and len(ins) == 13 and not fields.get("nokey"):
        ins += nir_key(ins)
    return Traits(
        birth_family_name=fields["name"] or None,
        birth_given_names=given,
        first_birth_given_name=fields.get("first", given[0] if given else None) or None,
        used_family_name=fields.get("used") or None,
        used_given_name=fields.get("used_given") or None,
        sex=Sex(fields["sex"]) if fields["sex"] else None,
        birth_date=PartialDate.parse(fields["born"]) if fields["born"] else None,
        birth_date_interpreted=fields.get("interpreted", False),
        birth_place_code=fields["place"] or None,
        address=fields["street"] or None,
        postal_code=fields["zip"] or None,
        city=fields["city"] or None,
        phone=fields["phone"] or None,
        email=fields.get("email") or None,
        ins=ins or None,
        ins_oid=fields.get("oid", INS_NIR_OID) if ins else None,
        identity_status=IdentityStatus(fields["status"]),
        identity_attributes=frozenset(fields.get("flags", "").split("|")) - {""},
        mother_family_name=fields.get("mother") or None,
        multiple_birth=fields.get("multiple"),
        birth_order=fields.get("rank"),
    )


def main() -> None:
    """Print every case that the engine decides otherwise, false links first."""
    parser = argparse.ArgumentParser(prog="python -m bench.adversarial", description=__doc__)
    parser.add_argument("--model", type=Path, help="model file of `traitdunion train`, instead of the one set by hand")
    args = parser.parse_args()
    model = MatchModel.from_json(json.loads(args.model.read_text("utf-8"))) if args.model else default_french()
    wrong = [(found, case) for case in cases() if (found := outcome(case, model)) not in case.allowed]
    for found, case in sorted(wrong, key=lambda pair: (pair[0] != "link", pair[1].topic, pair[1].name)):
        weighed = score(clean(case.a), clean(case.b), model)
        vetoes = "; ".join(str(veto) for veto in weighed.vetoes)
        print(f"{found}, not {case.expect}: {case.topic}: {case.name} [{weighed.weight_bits:.1f} bits] {vetoes}")
    print(f"{len(wrong)} of {len(cases())} cases decided otherwise")


if __name__ == "__main__":
    main()
