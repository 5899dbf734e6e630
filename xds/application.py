"""The registry and repository with everything they need, wired once at start-up."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from ihe.callbacks import CallbackRule
from xds.domain.value_sets import CODED_ATTRIBUTES, AllowedCode, ValueSets
from xds.ports import NoPatientResources, PatientResources
from xds.services.gateway import Gateway
from xds.services.registry import Registry
from xds.services.repository import Repository
from xds.services.studies import Studies

_COLUMNS = ["attribute", "code", "scheme", "display"]


class ValueSetFault(Exception):
    """A table of value sets that cannot be used; stops the start-up."""


@dataclass(frozen=True, slots=True)
class XdsApplication:
    """What the transactions of this package are given.

    Attributes:
        registry: the registry's parts.
        repository: the repository's parts.
        studies: what answers about imaging studies need.
        gateway: what joins this community to others.
        patients: where references to Patient resources lead.
        callbacks: which addresses that callers name may be written to.
    """

    registry: Registry
    repository: Repository
    studies: Studies
    gateway: Gateway
    patients: PatientResources = field(default_factory=NoPatientResources)
    callbacks: CallbackRule = field(default_factory=CallbackRule)


def load_value_sets(path: Path | None = None, lenient: Collection[str] = ()) -> ValueSets:
    """Read the codes that the affinity domain allows.

    Args:
        path: CSV in UTF-8 with the columns ``attribute,code,scheme,display``; ``None`` for the French
            value sets that come with the package.
        lenient: attributes of which other codes are taken too, with a warning.

    Raises:
        ValueSetFault: the file is not such a table (names the line), or an attribute is none that has codes.
    """
    unknown = sorted(set(lenient) - CODED_ATTRIBUTES)
    if unknown:
        raise ValueSetFault(
            f"{', '.join(unknown)}: no attribute with codes; known: {', '.join(sorted(CODED_ATTRIBUTES))}"
        )
    source = files("xds.domain").joinpath("value_sets.csv") if path is None else path
    with source.open(encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if reader.fieldnames != _COLUMNS:
            raise ValueSetFault(f"{source}: the header must be {','.join(_COLUMNS)}")
        return ValueSets(_rows(reader, str(source)), lenient)


def _rows(reader: csv.DictReader[str], name: str) -> Iterator[AllowedCode]:
    for row in reader:
        if row["attribute"] not in CODED_ATTRIBUTES or not row["code"] or None in row or row["scheme"] is None:
            raise ValueSetFault(f"{name}, line {reader.line_num}: needs a coded attribute, code, scheme and display")
        yield AllowedCode(row["attribute"], row["code"], row["scheme"], row["display"] or "")
