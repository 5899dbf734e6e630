"""Demographic search over records: one statement finds them, and reads those of the first page with their persons."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any, NamedTuple

import orjson

from ihe import fibers
from ihe.confidentiality import Sight
from ihe.unit_of_work import UnitOfWork
from ihe.values import PartialDate
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.phonetics_fr import sound
from mpi.domain.record import Record, RecordState
from mpi.domain.search import BirthBound, ContactGroup, Likeness, NameCriterion, NameGroup, PatientSearch, TextGroup
from mpi.store import members, names, traits_json
from mpi.store.hiding import is_hidden, is_shown, sight
from mpi.store.members import Member


def _named(group: NameGroup, name: str, parameters: dict[str, Any]) -> str:
    """That a record is found under one of some names: one probe, which an index can answer, however many there are.

    Of names that are to be like others only what may be so is found: they sound the same, or where letters may differ,
    begin alike. What is too unlike is left out by :func:`mpi.domain.match_quality.is_match`.
    """
    part, matches, sounds = group.part, [], []
    for number, criterion in enumerate(group.any_of):
        key = f"{name}_{number}"
        if criterion.like is not None:
            parameters[f"{key}_sound"] = sound(criterion.text)
            sounds += [f"(n.part = '{each.lower()}' AND n.sound = %({key}_sound)s)" for each in part]
        if criterion.like is not Likeness.PHONETIC:
            match = _match(criterion, key, parameters)
            matches += [f"(n.part = '{each}' AND {match})" for each in part]
    if not sounds:
        return f"EXISTS (SELECT 1 FROM record_name n WHERE n.record_id = r.id AND ({' OR '.join(matches)}))"
    found = [f"SELECT n.record_id FROM record_sound n WHERE {' OR '.join(sounds)}"]
    if matches:
        found.append(f"SELECT n.record_id FROM record_name n WHERE {' OR '.join(matches)}")
    return f"r.id IN ({' UNION ALL '.join(found)})"


def _match(criterion: NameCriterion, key: str, parameters: dict[str, Any]) -> str:
    text = criterion.text[:_LETTERS_ALIKE] if criterion.like is not None else criterion.text
    parameters[key] = text
    if criterion.inside:
        return f"strpos(n.name, %({key})s) > 0"
    if criterion.exact:
        return f"n.name = %({key})s"
    parameters[f"{key}_end"] = text + "\U0010ffff"
    return f"n.name >= %({key})s AND n.name < %({key}_end)s"


def _named_in_row(group: NameGroup, name: str, parameters: dict[str, Any]) -> str:
    """The same of the few records that other criteria leave: names in their rows are looked at, in one plan for all.

    What is asked for is folded, so that it holds nothing that a regular expression takes for more than a letter.
    """
    clauses = []
    for number, criterion in enumerate(group.any_of):
        for part in group.part:
            key = f"{name}_{number}_{part}"
            if criterion.inside:
                parameters[key] = f"\n{part}[^\n]*{criterion.text}"
                clauses.append(f"{names.OF_RECORD} ~ %({key})s")
            else:
                parameters[key] = f"\n{part}{criterion.text}" + ("\n" if criterion.exact else "")
                clauses.append(f"strpos({names.OF_RECORD}, %({key})s) > 0")
    return f"({' OR '.join(clauses)})"


_LETTERS_ALIKE = 2
"""First letters that a name written nearly as another has in common with it."""


def _birth_clause(moment: PartialDate, name: str, parameters: dict[str, Any]) -> str:
    parameters[name] = moment.iso
    if moment.is_full:
        return f"r.birth_date = %({name})s"
    parameters[f"{name}_end"] = moment.iso + "~"
    return f"(r.birth_date >= %({name})s AND r.birth_date < %({name}_end)s)"


def _text_clause(field: str, criteria: Sequence[NameCriterion], name: str, parameters: dict[str, Any]) -> str:
    """That a trait, folded as the criteria are, is one of them or begins with one."""
    clauses = []
    for number, criterion in enumerate(criteria):
        key = f"{name}_{number}"
        parameters[key] = criterion.text
        folded = f"fold_text(r.traits->>'{field}')"
        clauses.append(f"{folded} = %({key})s" if criterion.exact else f"starts_with({folded}, %({key})s)")
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
                clauses.append(f"coalesce({stated} = %({key})s, false)")
            else:
                parameters[key] = criterion.text
                found = f"strpos(fold_text({stated}), %({key})s)"
                clauses.append(f"coalesce({found} {'> 0' if criterion.inside else '= 1'}, false)")
    return "(" + " OR ".join(clauses) + ")"


def _contact_clause(group: ContactGroup, name: str, parameters: dict[str, Any]) -> str:
    """That a patient can be reached under one of some numbers and addresses."""
    parameters[f"{name}_phones"] = list(group.phones)
    parameters[f"{name}_emails"] = list(group.emails)
    phones = f"({_HAS_PHONE} AND {PHONE_KEY} = ANY(%({name}_phones)s))"
    return f"({phones} OR lower(r.traits->>'email') = ANY(%({name}_emails)s))" if group.emails else phones


PHONE_KEY = "right(regexp_replace(r.traits->>'phone', '[^0-9]', '', 'g'), 9)"
_HAS_PHONE = "r.traits ? 'phone'"
"""Both as the index has them."""


_STATED = {
    "F": ("r.traits->>'birth_family_name' = %({0})s", "r.traits->>'used_family_name' = %({0})s"),
    "G": (
        "r.traits->>'first_birth_given_name' = %({0})s",
        "r.traits->>'used_given_name' = %({0})s",
        "jsonb_exists(r.traits->'birth_given_names', %({0})s)",
    ),
}


def _group_clause(group: NameGroup, name: str, parameters: dict[str, Any], *, of_few: bool) -> str:
    """That a record bears one of some names; where they are to be met letter for letter, that it states one so.

    Args:
        of_few: other criteria leave few records.
    """
    stated = []
    for number, criterion in enumerate(group.any_of):
        if criterion.verbatim is not None:
            key = f"{name}_{number}_stated"
            parameters[key] = criterion.verbatim
            stated += [f"coalesce({each.format(key)}, false)" for part in group.part for each in _STATED[part]]
    in_row = of_few and all(criterion.like is None for criterion in group.any_of)
    clause = _named_in_row(group, name, parameters) if in_row else _named(group, name, parameters)
    return f"{clause} AND ({' OR '.join(stated)})" if stated else clause


_COMPARISONS = {
    "eq": "(r.birth_date >= %({0})s AND r.birth_date < %({0}_end)s)",
    "ne": "NOT (r.birth_date >= %({0})s AND r.birth_date < %({0}_end)s)",
    "lt": "r.birth_date < %({0})s",
    "le": "r.birth_date < %({0}_end)s",
    "gt": "(r.birth_date >= left(%({0})s, 4) AND r.birth_date || '~' > %({0}_end)s)",
    "ge": "(r.birth_date >= left(%({0})s, 4) AND r.birth_date || '~' >= %({0})s)",
    "sa": "r.birth_date > %({0}_end)s",
    "eb": "(r.birth_date < %({0})s AND r.birth_date || '~' < %({0})s)",
}
"""Dates are text, so that a partial one stands before its days and, with a tilde behind it, after them."""


def _bound_clause(bounds: tuple[BirthBound, ...], name: str, parameters: dict[str, Any]) -> str:
    """That a birth date meets one of some comparisons."""
    clauses = []
    for number, bound in enumerate(bounds):
        key = f"{name}_{number}"
        parameters[key] = bound.date.iso
        clause = _COMPARISONS[bound.comparison].format(key)
        if bound.comparison == "eq" and bound.date.is_full:
            clause = f"r.birth_date = %({key})s"
        if f"%({key}_end)s" in clause:
            parameters[f"{key}_end"] = bound.date.iso + "~"
        clauses.append(clause)
    return "(" + " OR ".join(clauses) + ")"


def _conditions(
    search: PatientSearch, sees_hidden: bool, ins_authorities: Sequence[str], parameters: dict[str, Any]
) -> str:
    """What records (``r``) must meet; fills in the parameters."""
    clauses = ["r.state = 'active'"]
    if search.keys:
        parameters["key_domains"] = [key.domain for key in search.keys]
        parameters["key_ids"] = [key.local_id for key in search.keys]
        clauses.append("(r.domain, r.local_id) IN (SELECT * FROM unnest(%(key_domains)s::text[], %(key_ids)s::text[]))")
    if search.record_ids:
        parameters["record_ids"] = list(search.record_ids)
        clauses.append("r.id = ANY(%(record_ids)s)")
    if search.birth_dates:
        dates = [_birth_clause(d, f"birth_{i}", parameters) for i, d in enumerate(search.birth_dates)]
        clauses.append("(" + " OR ".join(dates) + ")")
    groups = [("family", NameGroup("F", search.families))] if search.families else []
    groups += [(f"given_{i}", NameGroup("G", (c,))) for i, c in enumerate(search.givens)]
    groups += [(f"name_{i}", group) for i, group in enumerate(search.name_groups)]
    for name, group in groups:
        is_fuzzy = any(c.like is Likeness.FUZZY for c in group.any_of)
        if not (is_fuzzy and search.has_whole_birth_date):  # of few, every name is looked at
            clauses.append(_group_clause(group, name, parameters, of_few=_has_one_plan(search)))
    clauses.extend(_field_clause(g, f"text_{i}", parameters) for i, g in enumerate(search.text_groups))
    clauses.extend(_contact_clause(g, f"contact_{i}", parameters) for i, g in enumerate(search.contact_groups))
    clauses.extend(_bound_clause(b, f"bound_{i}", parameters) for i, b in enumerate(search.birth_bounds))
    if search.sexes:
        parameters["sexes"] = [str(sex) for sex in search.sexes]
        clauses.append("r.sex = ANY(%(sexes)s)")
    if search.postal_codes:
        parameters["postal_codes"] = list(search.postal_codes)
        clauses.append("r.traits->>'postal_code' = ANY(%(postal_codes)s)")
    for field, criteria in (
        ("city", search.cities),
        ("address", search.streets),
        ("mother_family_name", search.mothers),
    ):
        if criteria:
            clauses.append(_text_clause(field, criteria, field, parameters))
    if search.phones:
        parameters["phones"] = list(search.phones)
        clauses.append(f"{_HAS_PHONE} AND {PHONE_KEY} = ANY(%(phones)s)")
    if search.domains or ins_authorities:
        parameters["domains"] = list(search.domains)
        parameters["ins_authorities"] = list(ins_authorities)
        clauses.append(
            "(r.domain = ANY(%(domains)s) OR (r.identity_status = 'QUAL' AND r.ins_oid = ANY(%(ins_authorities)s)))"
        )
    if not sees_hidden:
        clauses.append(f"NOT {is_hidden('r')}")
    return " AND ".join(clauses)


class FoundRecord(NamedTuple):
    """A record with all active records of its person, itself among them, by id."""

    record: Record
    members: tuple[Member, ...]


_ORDER = "ORDER BY {0}.birth_date NULLS LAST, {0}.domain, {0}.local_id"
_FOUND = "SELECT r.id, r.birth_date, r.domain, r.local_id FROM record r WHERE {conditions} {order} LIMIT %(limit)s"
_WHOLE = f"""r.domain, r.local_id, r.state, r.person_id, r.grade, r.merged_into, r.version, r.traits::text,
    r.created_at, r.source_updated_at, {is_hidden("r")}, r.opposes_indexing,
    (SELECT json_agg(json_build_array({members.COLUMNS}) ORDER BY m.id)::text
    FROM record m WHERE m.person_id = r.person_id AND m.state = 'active')"""
_PAGE = f"""SELECT f.id, {_WHOLE}
    FROM (SELECT s.id, row_number() OVER ({_ORDER.format("s")}) AS place
        FROM ({_FOUND}) AS s) AS f
    LEFT JOIN record r ON r.id = f.id AND f.place <= %(page)s ORDER BY f.place"""
_CANDIDATES = """SELECT r.id, r.birth_date, r.domain, r.local_id, r.traits::text
    FROM record r WHERE {conditions} LIMIT %(limit)s"""
_IDS = f"SELECT s.id FROM ({_FOUND}) AS s {_ORDER.format('s')}"
_OF_IDS = f"""SELECT f.id, {_WHOLE}
    FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS f(id, place) JOIN record r ON r.id = f.id
    WHERE r.state = 'active' AND {is_shown("r")} ORDER BY f.place"""


_FEW = 20
"""So many patients are read and written whole in an event loop; of more, nobody else would wait."""


def find(
    uow: UnitOfWork,
    search: PatientSearch,
    page: int,
    *,
    sees_hidden: bool,
    ins_authorities: Sequence[str] = (),
    first_of_many: bool = False,
) -> tuple[list[int], list[FoundRecord]]:
    """Active records that meet the criteria, in the order birth date, domain, local id; one statement.

    Args:
        page: how many are wanted whole.
        sees_hidden: also hidden identities, which are left out otherwise.
        ins_authorities: OIDs of national domains; records with a qualified INS of theirs count as known there.
        first_of_many: where more than the limit meet them, those that come first are wanted, at the cost of all.

    Returns:
        At most ``search.limit + 1`` ids, so that the caller sees whether there are more; and the first of them whole.
    """
    has_one_plan = _has_one_plan(search)
    if not has_one_plan:
        fibers.keep_out()  # it is planned, and many may be found
    parameters: dict[str, Any] = {"limit": search.limit + 1, "page": page}
    conditions = _conditions(search, sees_hidden, ins_authorities, parameters)
    statement = _PAGE.format(conditions=conditions, order=_ORDER.format("r") if first_of_many else "")
    rows = uow.ask(statement, parameters, prepare=has_one_plan)
    if min(len(rows), page) > _FEW:
        fibers.keep_out()  # to read and to write them takes long
    return [row[0] for row in rows], [_found_record(row) for row in rows[:page]]


def find_ids(
    uow: UnitOfWork,
    search: PatientSearch,
    *,
    sees_hidden: bool,
    ins_authorities: Sequence[str] = (),
) -> list[int]:
    """The ids alone that :func:`find` would find."""
    parameters: dict[str, Any] = {"limit": search.limit + 1}
    conditions = _conditions(search, sees_hidden, ins_authorities, parameters)
    rows = uow.ask(_IDS.format(conditions=conditions, order=""), parameters, prepare=_has_one_plan(search))
    return [row[0] for row in rows]


class Candidate(NamedTuple):
    """A record that may meet criteria which only its traits can tell.

    Attributes:
        order: its place among the others.
    """

    record_id: int
    order: tuple[str, str, str]
    traits: Traits


def find_candidates(
    uow: UnitOfWork,
    search: PatientSearch,
    *,
    sees_hidden: bool,
    ins_authorities: Sequence[str] = (),
) -> list[Candidate]:
    """At most ``search.limit + 1`` records that meet all criteria but likeness and quality, in no order."""
    parameters: dict[str, Any] = {"limit": search.limit + 1}
    conditions = _conditions(search, sees_hidden, ins_authorities, parameters)
    rows = uow.ask(_CANDIDATES.format(conditions=conditions), parameters, prepare=_has_one_plan(search))
    return [
        Candidate(i, (born or "~", domain, value), traits_json.loads(said)) for i, born, domain, value, said in rows
    ]


def _has_one_plan(search: PatientSearch) -> bool:
    """Whether whatever values are asked for are best looked for in the same way: by a whole birth date, or by records.

    How many bear a name, or its first letters, differs so much that each search is planned with its own values.
    """
    return bool(search.has_whole_birth_date or search.keys or search.record_ids)


def read(uow: UnitOfWork, ids: Sequence[int], seen: Sight) -> list[FoundRecord]:
    """Active records by id in the order given, as far as they are shown."""
    parameters = {"ids": list(ids), **sight(seen)}
    return [_found_record(row) for row in uow.ask(_OF_IDS, parameters)]


def _found_record(row: tuple[Any, ...]) -> FoundRecord:
    record_id, domain, local_id, state, person_id, grade, merged_into, version, traits, *times_and_rights, found = row
    record = Record(
        record_id,
        RecordKey(domain, local_id),
        RecordState(state),
        person_id,
        grade,
        merged_into,
        version,
        traits_json.loads(traits),
        *times_and_rights,
    )
    return FoundRecord(record, tuple(starmap(Member, orjson.loads(found))))
