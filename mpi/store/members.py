"""The records of a person by their identifiers alone: what cross-references are made of, asked in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from ihe.confidentiality import Sight
from ihe.single_statements import Rows
from ihe.unit_of_work import LookUp, UnitOfWork
from mpi.domain.identity import RecordKey
from mpi.store.hiding import is_hidden, is_shown, sight


class Member(NamedTuple):
    """An active record, without its traits.

    Attributes:
        grade: of its link to the person; ``None`` for a founder or a record alone.
        ins, ins_oid: of a qualified identity, else ``None``.
        is_hidden: see :class:`mpi.domain.record.Record`.
    """

    record_id: int
    person_id: int
    domain: str
    local_id: str
    grade: str | None
    ins: str | None
    ins_oid: str | None
    is_hidden: bool

    @property
    def key(self) -> RecordKey:
        """The name of the record."""
        return RecordKey(self.domain, self.local_id)


COLUMNS = f"""m.id, m.person_id, m.domain, m.local_id, m.grade,
    CASE WHEN m.identity_status = 'QUAL' AND m.ins_oid <> '' THEN nullif(m.ins, '') END,
    CASE WHEN m.identity_status = 'QUAL' AND m.ins <> '' THEN nullif(m.ins_oid, '') END, {is_hidden("m")}"""
"""The parts of a :class:`Member`, of a record ``m``."""
_ASKED = "asked_for.sees_hidden", "asked_for.site"
_OF_KEYS = f"""SELECT asked_for.place, {COLUMNS}
    FROM json_to_recordset(%s) AS asked_for (place int, domain text, local_id text, sees_hidden boolean, site text)
    JOIN record asked ON asked.domain = asked_for.domain AND asked.local_id = asked_for.local_id
        AND asked.state = 'active' AND {is_shown("asked", *_ASKED)}
    JOIN record m ON m.person_id = asked.person_id AND m.state = 'active' AND {is_shown("m", *_ASKED)}"""
_OF_PERSONS = f"""SELECT {COLUMNS} FROM record m
    WHERE m.person_id = ANY(%(persons)s) AND m.state = 'active'
    AND {is_shown("m")} ORDER BY m.id"""


def of_key(uow: UnitOfWork, key: RecordKey, seen: Sight) -> list[Member]:
    """The records that are shown of the person to whom an active record belongs, itself among them; none when it is
    not active, or not shown. In the order of their ids.
    """
    return uow.look_up(_BY_KEY, (key, seen))


def _asked_keys(asked: Sequence[tuple[RecordKey, Sight]]) -> tuple[str]:
    """As JSON: of an array, the planner goes by how many it holds, and would plan the statement anew each time."""
    keys = [
        {"place": place, "domain": key.domain, "local_id": key.local_id, **sight(seen)}
        for place, (key, seen) in enumerate(asked)
    ]
    return (orjson.dumps(keys).decode(),)


def _members_of_keys(rows: Rows, count: int) -> list[list[Member]]:
    found: list[list[Member]] = [[] for _ in range(count)]
    for place, *member in sorted(rows):
        found[place].append(Member(*member))
    return found


_BY_KEY = LookUp(_OF_KEYS, _asked_keys, _members_of_keys)


def of_persons(uow: UnitOfWork, persons: list[int], seen: Sight) -> list[Member]:
    """All active records of some persons that are shown."""
    asked = {"persons": persons, **sight(seen)}
    return list(map(Member._make, uow.ask(_OF_PERSONS, asked)))
