"""Who may read which document: the rules of a region, as data.

Source: CI-SIS, confidentialityCode (INVISIBLE_PATIENT, INVISIBLE_REPRESENTANTS_LEGAUX, MASQUE_PS); Code de la santé
publique, L1110-4 (opposition to sharing) and L1111-17 (emergency access).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ihe.caller import Caller

PATIENT = "patient"
REPRESENTATIVE = "legal-representative"
REGION = "region"
"""Roles of callers that are no professionals: the patient, who represents the patient by law, the service itself."""

_VISIBILITY = "1.2.250.1.213.1.1.4.13"


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """The rules.

    Attributes:
        hidden_from_professionals, hidden_from_patients, hidden_from_representatives: confidentiality codes
            (``code^^scheme``) that hide a document; one code of its set suffices.
        emergency_purposes: purposes of use for which neither an opposition nor what the patient hid from professionals
            counts.
    """

    hidden_from_professionals: frozenset[str] = frozenset({f"MASQUE_PS^^{_VISIBILITY}"})
    hidden_from_patients: frozenset[str] = frozenset({f"INVISIBLE_PATIENT^^{_VISIBILITY}"})
    hidden_from_representatives: frozenset[str] = frozenset(
        {f"INVISIBLE_REPRESENTANTS_LEGAUX^^{_VISIBILITY}", f"INVISIBLE_PATIENT^^{_VISIBILITY}"}
    )
    emergency_purposes: frozenset[str] = frozenset({"bris_de_glace", "centre_15"})

    def reason_against(self, caller: Caller, confidentiality_codes: Sequence[str]) -> str | None:
        """Why the caller may not read a document with these codes; ``None`` when it may."""
        codes = frozenset(confidentiality_codes)
        if REGION in caller.roles:
            return None
        if PATIENT in caller.roles:
            return "hidden from the patient" if codes & self.hidden_from_patients else None
        if REPRESENTATIVE in caller.roles:
            return "hidden from representatives" if codes & self.hidden_from_representatives else None
        if caller.purpose in self.emergency_purposes:
            return None
        return "hidden from professionals" if codes & self.hidden_from_professionals else None

    def heeds_opposition(self, caller: Caller) -> bool:
        """Whether the patient's opposition to the sharing of documents counts for the caller."""
        return not caller.roles & {PATIENT, REPRESENTATIVE, REGION} and caller.purpose not in self.emergency_purposes
