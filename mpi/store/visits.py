"""Visits of records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from ihe.values import AssigningAuthority, Oid
from mpi.domain.visit import Practitioner, Visit, VisitId, VisitSearch, visit_keys
from mpi.store.traits_json import json_text

_FACTS = (
    "patient_class",
    "point_of_care",
    "room",
    "bed",
    "facility",
    "hospital_service",
    "admitted_at",
    "discharged_at",
)


@dataclass(frozen=True, slots=True)
class StoredVisit:
    """A visit with its place in the index."""

    id: int
    record_id: int
    visit: Visit
    source_updated_at: datetime | None


def put(connection: Connection, record_id: int, visit: Visit, source_updated_at: datetime | None) -> None:
    """Write what a visit is now, unless a newer state is known."""
    connection.execute(
        text(
            "INSERT INTO visit (record_id, number, number_authority, account, account_authority, facts, keys,"
            " source_updated_at) VALUES (:record_id, :number, :number_authority, :account, :account_authority,"
            " CAST(:facts AS jsonb), :keys, :moment) ON CONFLICT (record_id, number, number_authority) DO UPDATE SET"
            " account = excluded.account, account_authority = excluded.account_authority, facts = excluded.facts,"
            " keys = excluded.keys, source_updated_at = excluded.source_updated_at"
            " WHERE coalesce(visit.source_updated_at <= excluded.source_updated_at, true)"
        ),
        {
            "record_id": record_id,
            "number": visit.number.value,
            "number_authority": visit.number.authority_key,
            "account": visit.account.value if visit.account else None,
            "account_authority": visit.account.authority_key if visit.account else None,
            "facts": json_text(_to_json(visit)),
            "keys": visit_keys(visit),
            "moment": source_updated_at,
        },
    )


def remove(connection: Connection, record_id: int, number: VisitId) -> None:
    """Delete a cancelled visit."""
    connection.execute(
        text("DELETE FROM visit WHERE record_id = :record_id AND number = :number AND number_authority = :authority"),
        {"record_id": record_id, "number": number.value, "authority": number.authority_key},
    )


def move(connection: Connection, from_record: int, to_record: int, account: VisitId) -> None:
    """Give the visits of an account to another record; one that the other has already under its number stays there."""
    parameters = {
        "source": from_record,
        "target": to_record,
        "value": account.value,
        "authority": account.authority_key,
    }
    connection.execute(
        text(
            "UPDATE visit v SET record_id = :target WHERE v.record_id = :source"
            " AND ((v.account = :value AND :authority IN ('', v.account_authority))"
            " OR (v.account IS NULL AND v.number = :value AND :authority IN ('', v.number_authority)))"
            " AND NOT EXISTS (SELECT 1 FROM visit t WHERE t.record_id = :target AND t.number = v.number"
            " AND t.number_authority = v.number_authority)"
        ),
        parameters,
    )


def find(
    connection: Connection, search: VisitSearch, limit: int, record_ids: Iterable[int] | None = None
) -> list[StoredVisit]:
    """Visits that meet the criteria, at most ``limit`` of them.

    Args:
        record_ids: of these records only.
    """
    parameters: dict[str, Any] = {"limit": limit}
    clauses = ["true"]
    if record_ids is not None:
        parameters["record_ids"] = list(record_ids)
        clauses.append("record_id = ANY(:record_ids)")
    for column, wanted in (("number", search.numbers), ("account", search.accounts)):
        if wanted:
            any_of = []
            for position, each in enumerate(wanted):
                name = f"{column}_{position}"
                parameters[name], parameters[f"{name}_authority"] = each.value, each.authority_key
                any_of.append(f"({column} = :{name} AND :{name}_authority IN ('', {column}_authority))")
            clauses.append("(" + " OR ".join(any_of) + ")")
    exact = [f"{name}={criterion.text}" for name, criterion in search.facts if criterion.exact]
    if exact:
        parameters["exact"] = exact
        clauses.append("keys @> CAST(:exact AS text[])")
    for position, (name, criterion) in enumerate(search.facts):
        if not criterion.exact:
            parameters[f"prefix_{position}"] = f"{name}={criterion.text}"
            clauses.append(f"EXISTS (SELECT 1 FROM unnest(keys) AS k WHERE starts_with(k, :prefix_{position}))")
    return _select(connection, f"WHERE {' AND '.join(clauses)} ORDER BY id LIMIT :limit", parameters)


def by_ids(connection: Connection, ids: Sequence[int]) -> list[StoredVisit]:
    """Visits by internal id, in the order given."""
    found = {each.id: each for each in _select(connection, "WHERE id = ANY(:ids)", {"ids": list(ids)})}
    return [found[i] for i in ids if i in found]


def _select(connection: Connection, rest: str, parameters: dict[str, Any]) -> list[StoredVisit]:
    rows = connection.execute(text(f"SELECT id, record_id, facts, source_updated_at FROM visit {rest}"), parameters)
    return [_stored(row) for row in rows]


def _stored(row: Row[Any]) -> StoredVisit:
    facts = row.facts
    account = facts.get("account")
    visit = Visit(
        number=_visit_id(facts["number"]),
        account=_visit_id(account) if account else None,
        practitioners=tuple((role, Practitioner(*parts)) for role, parts in facts.get("practitioners", ())),
        **{name: facts.get(name) for name in _FACTS},
    )
    return StoredVisit(row.id, row.record_id, visit, row.source_updated_at)


def _to_json(visit: Visit) -> dict[str, Any]:
    stated: dict[str, Any] = {name: value for name in _FACTS if (value := getattr(visit, name)) is not None}
    stated["number"] = _id_parts(visit.number)
    if visit.account is not None:
        stated["account"] = _id_parts(visit.account)
    if visit.practitioners:
        stated["practitioners"] = [[role, [who.id, who.family, who.given]] for role, who in visit.practitioners]
    return stated


def _id_parts(visit_id: VisitId) -> list[str | None]:
    authority = visit_id.authority
    return [
        visit_id.value,
        authority.namespace if authority else None,
        str(authority.oid) if authority and authority.oid else None,
        visit_id.type_code,
    ]


def _visit_id(parts: Sequence[str | None]) -> VisitId:
    value, namespace, oid, type_code = parts
    authority = AssigningAuthority(namespace, Oid(oid) if oid else None) if namespace or oid else None
    return VisitId(value or "", authority, type_code)
