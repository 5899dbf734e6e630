"""Sizes of the index."""

from __future__ import annotations

from ihe.values import PartialDate
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.services.count_population import Population, count_population
from mpi.services.feed_record import feed_record
from mpi.services.merge_records import merge_records

PAUL = Traits(
    birth_family_name="MODELE",
    birth_given_names=("PAUL", "HENRI"),
    first_birth_given_name="PAUL",
    sex=Sex.MALE,
    birth_date=PartialDate(1971, 11, 2),
    birth_place_code="42187",
    identity_status=IdentityStatus.VALI,
)


def test_active_records_persons_and_open_questions_are_counted(unit, index):
    with unit() as uow:
        assert count_population(uow) == Population(0, 0, 0)
        for key in (RecordKey("CHUSE", "1"), RecordKey("CHUSE", "2"), RecordKey("ROANNE", "1")):
            feed_record(uow, index, key, PAUL)
        population = count_population(uow)
        assert population.records == 3
        assert population.persons < 3
        assert population.tasks >= 1  # one site has him twice
        merge_records(uow, index, RecordKey("CHUSE", "1"), RecordKey("CHUSE", "2"), None)
        assert count_population(uow) == Population(2, 1, 0)
