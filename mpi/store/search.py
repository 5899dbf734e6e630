"""Demographic search over records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from ihe.values import PartialDate
from mpi.domain.search import BirthBound, ContactGroup, NameCriterion, NameGroup, PatientSearch, TextGroup


def _name_clause(part: str, criterion: NameCriterion, name: str, parameters: dict[str, Any]) -> str:
    parameters[name] = criterion.text
    if criterion.exact:
        match = f"n.name = :{name}"
    else:
        parameters[f"{name}_end"] = criterion.text + "\U0010ffff"
        match = f"n.name >= :{name} AND n.name < :{name}_end"
    return f"EXISTS (SELECT 1 FROM record_name n WHERE n.record_id = r.id AND n.part = '{part}' AND {match})"


def _birth_clause(moment: PartialDate, name: str, parameters: dict[str, Any]) -> str:
    parameters[name] = moment.iso
    if moment.is_full:
        return f"r.birth_date = :{name}"
    parameters[f"{name}_end"] = moment.iso + "~"
    return f"(r.birth_date >= :{name} AND r.birth_date < :{name}_end)"


def _text_clause(field: str, criteria: Sequence[NameCriterion], name: str, parameters: dict[str, Any]) -> str:
    """That a trait, folded as the criteria are, is one of them or begins with one."""
    clauses = []
    for number, criterion in enumerate(criteria):
        key = f"{name}_{number}"
        parameters[key] = criterion.text
        folded = f"fold_text(r.traits->>'{field}')"
        clauses.append(f"{folded} = :{key}" if criterion.exact else f"starts_with({folded}, :{key})")
    return "(" + " OR ".join(clauses) + ")"


def _field_clause(group: TextGroup, name: str, parameters: dict[str, Any]) -> str:
    """That one of some traits holds one of some texts."""
    clauses = []
    for number, criterion in enumerate(group.any_of):
        key = f"{name}_{number}"
        for field in group.fields:
            stated = f"r.traits->>'{field}'"
            if criterion.verbatim is not None:
                parameters[key] = criterion.verbatim
                clauses.append(f"coalesce({stated} = :{key}, false)")
            else:
                parameters[key] = criterion.text
                found = f"strpos(fold_text({stated}), :{key})"
                clauses.append(f"coalesce({found} {'> 0' if criterion.inside else '= 1'}, false)")
    return "(" + " OR ".join(clauses) + ")"


def _contact_clause(group: ContactGroup, name: str, parameters: dict[str, Any]) -> str:
    """That a patient can be reached under one of some numbers and addresses."""
    parameters[f"{name}_phones"] = list(group.phones)
    parameters[f"{name}_emails"] = list(group.emails)
    phones = f"{PHONE_KEY} = ANY(:{name}_phones)"
    return f"({phones} OR lower(r.traits->>'email') = ANY(:{name}_emails))" if group.emails else phones


PHONE_KEY = "right(regexp_replace(r.traits->>'phone', '[^0-9]', '', 'g'), 9)"
"""As the index has it."""


_STATED = {
    "F": ("r.traits->>'birth_family_name' = :{0}", "r.traits->>'used_family_name' = :{0}"),
    "G": (
        "r.traits->>'first_birth_given_name' = :{0}",
        "r.traits->>'used_given_name' = :{0}",
        "jsonb_exists(r.traits->'birth_given_names', :{0})",
    ),
}


def _group_clause(group: NameGroup, name: str, parameters: dict[str, Any]) -> str:
    """That a record bears one of some names."""
    alternatives = []
    for part in group.part:
        for number, criterion in enumerate(group.any_of):
            key = f"{name}_{part}{number}".lower()
            if criterion.inside:
                parameters[key] = criterion.text
                clause = (
                    "EXISTS (SELECT 1 FROM record_name n WHERE n.record_id = r.id"
                    f" AND n.part = '{part}' AND strpos(n.name, :{key}) > 0)"
                )
            else:
                clause = _name_clause(part, criterion, key, parameters)
            if criterion.verbatim is not None:
                parameters[f"{key}_stated"] = criterion.verbatim
                stated = " OR ".join(f"coalesce({s.format(f'{key}_stated')}, false)" for s in _STATED[part])
                clause = f"({clause} AND ({stated}))"
            alternatives.append(clause)
    return "(" + " OR ".join(alternatives) + ")"


_COMPARISONS = {
    "eq": "(r.birth_date >= :{0} AND r.birth_date < :{0}_end)",
    "ne": "NOT (r.birth_date >= :{0} AND r.birth_date < :{0}_end)",
    "lt": "r.birth_date < :{0}",
    "le": "r.birth_date < :{0}_end",
    "gt": "(r.birth_date >= left(:{0}, 4) AND r.birth_date || '~' > :{0}_end)",
    "ge": "(r.birth_date >= left(:{0}, 4) AND r.birth_date || '~' >= :{0})",
    "sa": "r.birth_date > :{0}_end",
    "eb": "(r.birth_date < :{0} AND r.birth_date || '~' < :{0})",
}
"""Dates are text, so that a partial one stands before its days and, with a tilde behind it, after them."""


def _bound_clause(bounds: tuple[BirthBound, ...], name: str, parameters: dict[str, Any]) -> str:
    """That a birth date meets one of some comparisons."""
    clauses = []
    for number, bound in enumerate(bounds):
        key = f"{name}_{number}"
        parameters[key] = bound.date.iso
        clause = _COMPARISONS[bound.comparison].format(key)
        if f":{key}_end" in clause:
            parameters[f"{key}_end"] = bound.date.iso + "~"
        clauses.append(clause)
    return "(" + " OR ".join(clauses) + ")"


def find_ids(
    connection: Connection,
    search: PatientSearch,
    *,
    hidden_attributes: frozenset[str],
    ins_authorities: Sequence[str] = (),
) -> list[int]:
    """Ids of active records that meet the criteria, in the order birth date, domain, local id.

    Args:
        hidden_attributes: identities with any of these attributes are left out.
        ins_authorities: OIDs of national domains; records with a qualified INS of theirs count as known there.

    Returns:
        At most ``search.limit + 1`` ids from ``search.offset`` on, so that the caller sees whether there are more.
    """
    parameters: dict[str, Any] = {"limit": search.limit + 1, "offset": search.offset}
    clauses = ["r.state = 'active'"]
    if search.keys:
        parameters["key_domains"] = [key.domain for key in search.keys]
        parameters["key_ids"] = [key.local_id for key in search.keys]
        clauses.append(
            "(r.domain, r.local_id) IN (SELECT * FROM unnest(CAST(:key_domains AS text[]), CAST(:key_ids AS text[])))"
        )
    if search.record_ids:
        parameters["record_ids"] = list(search.record_ids)
        clauses.append("r.id = ANY(:record_ids)")
    if search.birth_dates:
        dates = [_birth_clause(d, f"birth_{i}", parameters) for i, d in enumerate(search.birth_dates)]
        clauses.append("(" + " OR ".join(dates) + ")")
    if search.families:
        names = [_name_clause("F", c, f"family_{i}", parameters) for i, c in enumerate(search.families)]
        clauses.append("(" + " OR ".join(names) + ")")
    clauses.extend(_name_clause("G", c, f"given_{i}", parameters) for i, c in enumerate(search.givens))
    clauses.extend(_group_clause(g, f"name_{i}", parameters) for i, g in enumerate(search.name_groups))
    clauses.extend(_field_clause(g, f"text_{i}", parameters) for i, g in enumerate(search.text_groups))
    clauses.extend(_contact_clause(g, f"contact_{i}", parameters) for i, g in enumerate(search.contact_groups))
    clauses.extend(_bound_clause(b, f"bound_{i}", parameters) for i, b in enumerate(search.birth_bounds))
    if search.sexes:
        parameters["sexes"] = [str(sex) for sex in search.sexes]
        clauses.append("r.sex = ANY(:sexes)")
    if search.postal_codes:
        parameters["postal_codes"] = list(search.postal_codes)
        clauses.append("r.traits->>'postal_code' = ANY(:postal_codes)")
    for field, criteria in (
        ("city", search.cities),
        ("address", search.streets),
        ("mother_family_name", search.mothers),
    ):
        if criteria:
            clauses.append(_text_clause(field, criteria, field, parameters))
    if search.phones:
        parameters["phones"] = list(search.phones)
        clauses.append(f"{PHONE_KEY} = ANY(:phones)")
    if search.domains or ins_authorities:
        parameters["domains"] = list(search.domains)
        parameters["ins_authorities"] = list(ins_authorities)
        clauses.append(
            "(r.domain = ANY(:domains) OR (r.identity_status = 'QUAL' AND r.ins_oid = ANY(:ins_authorities)))"
        )
    if hidden_attributes:
        parameters["hidden"] = sorted(hidden_attributes)
        clauses.append("NOT coalesce(r.traits->'identity_attributes' ?| CAST(:hidden AS text[]), false)")
    statement = text(
        f"SELECT r.id FROM record r WHERE {' AND '.join(clauses)}"
        " ORDER BY r.birth_date NULLS LAST, r.domain, r.local_id LIMIT :limit OFFSET :offset"
    )
    return [row.id for row in connection.execute(statement, parameters)]
