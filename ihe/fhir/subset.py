"""Parts of resources: what ``_summary`` and ``_elements`` leave of one.

Source: FHIR R4: 3.1.1.5.8 (summary), 3.1.1.5.9 (elements).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ihe.errors import InvalidElement

SUMMARY_VALUES: Final = ("true", "text", "data", "count", "false")
_ALWAYS: Final = frozenset({"resourceType", "id", "meta"})
_SUBSETTED: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_SUMMARIES: Final = {
    "Patient": frozenset(
        {
            "implicitRules",
            "identifier",
            "active",
            "name",
            "telecom",
            "gender",
            "birthDate",
            "deceasedBoolean",
            "deceasedDateTime",
            "address",
            "managingOrganization",
            "link",
        }
    )
}
"""The elements that the standard marks as summary."""


@dataclass(frozen=True, slots=True)
class Subset:
    """What of each resource is wanted.

    Attributes:
        summary: one of :data:`SUMMARY_VALUES`.
        elements: top-level elements; empty means all.
    """

    summary: str = "false"
    elements: tuple[str, ...] = ()

    @property
    def only_count(self) -> bool:
        """Whether no resource is wanted at all."""
        return self.summary == "count"

    def of(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """The resource with what is wanted of it, marked as a subset when something was left out."""
        if self.elements:
            kept = _ALWAYS | set(self.elements)
        elif self.summary == "true":
            kept = _ALWAYS | _SUMMARIES[resource["resourceType"]]
        elif self.summary == "text":
            kept = _ALWAYS | {"text"}
        else:
            return dict(resource)
        found = {name: value for name, value in resource.items() if name.removeprefix("_") in kept}
        meta = dict(found.get("meta", {}))
        return {**found, "meta": {**meta, "tag": [*meta.get("tag", ()), _SUBSETTED]}}


WHOLE: Final = Subset()
"""Nothing is left out."""


def read_subset(summary: str | None, elements: str | None) -> Subset:
    """Read the two parameters.

    Raises:
        InvalidElement: ``_summary`` has another value, or both are given.
    """
    if summary is not None and summary not in SUMMARY_VALUES:
        raise InvalidElement("_summary is one of " + ", ".join(SUMMARY_VALUES), "_summary")
    names = tuple(name.strip() for name in (elements or "").split(",") if name.strip())
    if names and summary not in (None, "false"):
        raise InvalidElement("_summary and _elements exclude each other", "_elements")
    return Subset(summary or "false", names)
