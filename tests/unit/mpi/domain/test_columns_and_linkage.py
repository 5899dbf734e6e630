"""Many pairs at once weigh what each weighs alone, and a population linked in bulk ends where one by one does."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from bench.population import generate
from ihe.values import PartialDate
from mpi.domain import blocking
from mpi.domain.cleaning import Cleaned, clean
from mpi.domain.columns import Columns, score_pairs
from mpi.domain.default_models import default_french, generic
from mpi.domain.edges import KeyTable, candidate_pairs, components, find_edges
from mpi.domain.grades import STRICT, LinkPolicy, grade_of
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.domain.linkage import divide, link, members_of
from mpi.domain.model import MatchModel
from mpi.domain.partition import RecordView, pair_of, partition
from mpi.domain.scored_pairs import GRADES, NO_GRADE
from mpi.domain.scoring import score
from mpi.translate.bulk_row import COLUMNS, read_row

FAMILIES = (
    "MARTIN MARTEN MARTINEZ LEGALL LATOUR DUBOIS DUBOS PETIT SIMON MARCHAND MARCHANT FAURE FAVRE LAURENT "
    "LAURANT BEN-ALI BENALI LE-GALL DE-LA-TOUR DUBOIS-PETIT PETIT-DUBOIS SAINT-PIERRE ST-PIERRE X"
)
GIVEN = (
    "SIMON LAURENT JEAN-PIERRE JEAN JEAN-PAUL PIERRE PAUL MARIE MARINE CAMILLE KATIA CATHERINE KATHERINE P JP BEBE "
    "LEA LENA LUCAS LUCA MATHIEU MATTHIEU MOHAMED MED SOLENE SOLNE DOMINIQUE"
)


def population(count: int, seed: int) -> list[Cleaned]:
    """Records drawn from few values, so that every kind of agreement occurs."""
    rng = random.Random(seed)
    families, given = FAMILIES.split(), GIVEN.split()

    def one() -> Cleaned:
        date = rng.choice(["1950-12-31", "1950-01-01", "1950-03-04", "1950-04-03", "1950", "1950-03", "1978-03-04"])
        if rng.random() < 0.3:
            date = f"{rng.randint(1940, 1990)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        place = rng.choice(["42218", "42187", "42190", "99352", "92351", "20004", "2A004", "75112", "93066", None])
        return clean(
            Traits(
                birth_family_name=rng.choice(families).replace("-", rng.choice("- ")) if rng.random() < 0.95 else None,
                birth_given_names=tuple(rng.choice(given) for _ in range(rng.randint(0, 3))),
                used_family_name=rng.choice([None, None, *families]),
                used_given_name=rng.choice([None, None, *given]),
                sex=rng.choice([None, *Sex]),
                birth_date=PartialDate.parse(date),
                birth_date_interpreted=rng.random() < 0.05,
                birth_place_code=place,
                address=rng.choice([None, "3 rue des Lilas", "3 r des lilass", "4 rue des Lilas"]),
                postal_code=rng.choice([None, "42000", "42100"]),
                city=rng.choice([None, "ROANNE"]),
                phone=rng.choice([None, "0477123456", "0612345679"]),
                email=rng.choice([None, None, "a@example.org"]),
                ins=rng.choice([None, None, "2480342218000", "1550342218000", "250037500000"]),
                ins_oid="1.2.250.1.213.1.4.8",
                identity_status=rng.choice(list(IdentityStatus)),
                identity_attributes=frozenset(["DOUT"]) if rng.random() < 0.03 else frozenset(),
                mother_family_name=rng.choice([None, None, "ROUX", "ROUS"]),
                birth_order=rng.choice([None, None, 1, 2]),
            )
        )

    return [one() for _ in range(count)]


@pytest.mark.parametrize("model", [default_french(), generic()])
@pytest.mark.parametrize("seed", [1, 2])
def test_columns_weigh_like_the_scorer(model: MatchModel, seed: int) -> None:
    records = population(160, seed)
    columns = Columns(records)
    pairs = list(itertools.combinations(range(len(records)), 2))
    left, right = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    scored = score_pairs(columns, left, right, model)
    for index, (i, j) in enumerate(pairs):
        alone = score(records[i], records[j], model)
        assert scored.one(index, model) == alone, (records[i], records[j])
        grade = scored.grades[index]
        assert (None if grade == NO_GRADE else GRADES[grade]) == grade_of(alone, records[i], records[j], model)


def test_keys_are_in_order_again_when_a_record_came_after_they_were_asked_for() -> None:
    table = KeyTable([(5, 1), (3,)])
    assert [column.tolist() for column in table.by_key()] == [[1, 3, 5], [0, 1, 0]]
    table.add((2,))
    assert [column.tolist() for column in table.by_key()] == [[1, 2, 3, 5], [0, 2, 1, 0]]


def test_candidate_pairs_are_those_that_share_a_key() -> None:
    keys = [blocking.keys(record) for record in population(60, 3)]
    expected = {
        i * len(keys) + j for i, j in itertools.combinations(range(len(keys)), 2) if set(keys[i]) & set(keys[j])
    }
    assert set(candidate_pairs(keys).tolist()) == expected
    assert candidate_pairs([(), (1,)]).tolist() == []


def test_components_are_named_by_their_smallest_member() -> None:
    left, right = np.array([4, 1, 2], dtype=np.int64), np.array([1, 0, 5], dtype=np.int64)
    assert components(7, left, right).tolist() == [0, 0, 2, 3, 0, 2, 6]


def test_a_population_does_not_depend_on_its_order() -> None:
    records = [
        RecordView(RecordKey(("CHUSE", "ROANNE", "FEURS")[n % 3], f"{n:04d}"), cleaned)
        for n, cleaned in enumerate(population(150, 4))
    ]
    expected = sorted(link(records, default_french(), LinkPolicy.calibrated()).persons())
    random.Random(9).shuffle(records)
    assert sorted(link(records, default_french(), LinkPolicy.calibrated()).persons()) == expected


@pytest.mark.parametrize(
    "policy", [LinkPolicy.calibrated(), LinkPolicy.strict(), LinkPolicy(by_domain={"ICL": STRICT})]
)
@pytest.mark.parametrize("profile", ["hard", "easy"])
def test_what_is_settled_at_once_is_what_deciding_each_component_would_give(profile: str, policy: LinkPolicy) -> None:
    model = default_french()
    records = []
    for made in generate(1500, seed=5, profile=profile):
        key, traits, _ = read_row({name: made.get(name) for name in COLUMNS})
        records.append(RecordView(key, clean(traits)))
    edges = find_edges([record.cleaned for record in records], model)
    same = [pair_of(records[0].key, records[1].key)]
    different = [pair_of(records[i].key, records[j].key) for i, j in ((edges.left[0], edges.right[0]),)]
    root = components(len(records), np.r_[edges.left, 0], np.r_[edges.right, 1])
    found = list(divide(records, edges, model, policy, same, different))
    assert len(found) == len(set(root.tolist()))
    for part, indices in zip(found, members_of(root).values(), strict=True):
        views = [records[index] for index in indices]
        chosen = [e for e in range(len(edges.left)) if root[edges.left[e]] == indices[0]]
        scored = {
            pair_of(one.key, other.key): score(one.cleaned, other.cleaned, model)
            for one, other in ((records[edges.left[e]], records[edges.right[e]]) for e in chosen)
        }
        assert part == partition(views, scored, same, different, model, policy)
