"""What the registry's services need beside a unit of work."""

from __future__ import annotations

from dataclasses import dataclass, field

from xds.domain.value_sets import ValueSets
from xds.ports import PatientDirectory
from xds.services.access import ReadPolicy, all_may_read


@dataclass(frozen=True, slots=True)
class Registry:
    """The wired parts of the registry.

    Attributes:
        directory: tells who a patient identifier designates.
        value_sets: codes of the affinity domain; an empty one allows every code.
        may_read: asked before any document is answered.
        max_results: most objects that a query returns with their metadata; above it XDSTooManyResults.
    """

    directory: PatientDirectory
    value_sets: ValueSets = field(default_factory=ValueSets)
    may_read: ReadPolicy = all_may_read
    max_results: int = 25_000
