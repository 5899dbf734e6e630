"""Which codes an affinity domain allows, attribute by attribute."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ihe.values import Code

CODED_ATTRIBUTES = frozenset(
    {
        "classCode",
        "codeList",
        "confidentialityCode",
        "contentTypeCode",
        "eventCodeList",
        "formatCode",
        "healthcareFacilityTypeCode",
        "mimeType",
        "practiceSettingCode",
        "typeCode",
    }
)
"""Attributes that an affinity domain constrains."""

_ANY = "*"


@dataclass(frozen=True, slots=True)
class AllowedCode:
    """One row of the table of value sets.

    Attributes:
        attribute: the standard's name (``classCode``, ``mimeType``…).
        code: a code, or ``*`` for every code of the scheme.
        scheme: coding scheme; empty for mimeType.
        display: its name in the region's language.
    """

    attribute: str
    code: str
    scheme: str
    display: str = ""


class ValueSets:
    """The codes that an affinity domain allows.

    An attribute without a row is not constrained. The display name never decides.

    Args:
        rows: the table.
        lenient: attributes of which other codes are taken too, with a warning.

    Source: ITI TF-2: 3.42.4.1.3.3 (codes are checked by code and scheme).
    """

    def __init__(self, rows: Iterable[AllowedCode] = (), lenient: Collection[str] = ()) -> None:
        self._lenient = frozenset(lenient)
        self._displays: dict[str, dict[tuple[str, str], str]] = {}
        for row in rows:
            self._displays.setdefault(row.attribute, {})[row.code, row.scheme] = row.display

    def allows(self, attribute: str, code: Code) -> bool:
        """Whether ``code`` may stand in ``attribute``."""
        rows = self._displays.get(attribute)
        return rows is None or (code.code, code.scheme) in rows or (_ANY, code.scheme) in rows

    def is_lenient(self, attribute: str) -> bool:
        """Whether a code that ``attribute`` may not hold is a matter for a warning only."""
        return attribute in self._lenient

    def display(self, attribute: str, code: Code) -> str | None:
        """The configured name of a code, or ``None``."""
        return self._displays.get(attribute, {}).get((code.code, code.scheme)) or None

    def codes(self, attribute: str) -> tuple[Code, ...]:
        """The codes listed for ``attribute``, in the order of the table, without whole schemes."""
        rows = self._displays.get(attribute, {})
        return tuple(Code(code, scheme, name or None) for (code, scheme), name in rows.items() if code != _ANY)
