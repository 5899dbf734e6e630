"""Who may see which identity and read which document: the one place where that is decided, for every wire.

Pure: what patients want is handed in (:class:`Wishes`), so is what a document says of itself (its confidentiality
codes). The index asks whether a caller sees an identity, the registry whether it may read a document, the pipeline
whether it may declare its purpose of use. Whoever may not, gets the answer of what isn't there.

Source: CI-SIS, confidentialityCode (INVISIBLE_PATIENT, INVISIBLE_REPRESENTANTS_LEGAUX, MASQUE_PS); Code de la santé
publique, L1110-4 (opposition to sharing), L1111-17 and R1111-47 (emergency access, opposition to feeding).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ihe.caller import Caller
from ihe.errors import AccessDenied

PATIENT: Final = "patient"
REPRESENTATIVE: Final = "legal-representative"
REGION: Final = "region"
"""Roles of callers that are no professionals: the patient, who represents the patient by law, the service itself."""
SEES_HIDDEN: Final = "identity.hidden"
"""Role that is shown hidden and anonymous identities."""
HIDDEN: Final = frozenset({"ANOM", "CACH"})
"""Attributes (PID-32) of identities that are shown to that role, to their own site, and to nobody else."""
BREAK_GLASS: Final = "bris_de_glace"
EMERGENCY_CENTRE: Final = "centre_15"
EMERGENCIES: Final = frozenset({BREAK_GLASS, EMERGENCY_CENTRE})
"""Purposes of use of which the regional officer is told."""

_VISIBILITY: Final = "1.2.250.1.213.1.1.4.13"


class Sight(NamedTuple):
    """Whose identities a caller is shown.

    Attributes:
        sees_hidden: also those that are hidden.
        site: code of the caller's own domain, of which it is told by number even what is hidden; never by a search.
    """

    sees_hidden: bool
    site: str | None

    def sees(self, domain: str, *, is_hidden: bool) -> bool:
        """Whether a record of a domain is shown."""
        return not is_hidden or self.sees_hidden or (self.site is not None and self.site == domain)


EVERYTHING: Final = Sight(sees_hidden=True, site=None)
"""Of a use case that shows nothing to anybody."""


def sight_of(caller: Caller) -> Sight:
    """What a caller is shown."""
    return Sight(bool(caller.roles & {SEES_HIDDEN, REGION}), caller.site)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a patient wants, and what is known of the identity that a document follows.

    Attributes:
        is_hidden: the identity is not shown to the caller.
        opposes_consultation: nobody shall read the patient's documents.
        opposes_feeding: no document of the patient shall be shared.
        blocked: professionals (as tokens name them) who shall never read the patient's documents.
    """

    is_hidden: bool = False
    opposes_consultation: bool = False
    opposes_feeding: bool = False
    blocked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """The rules of a region.

    Attributes:
        hidden_from_professionals, hidden_from_patients, hidden_from_representatives: confidentiality codes
            (``code^^scheme``) that hide a document; one code of its set suffices.
        emergency_purposes: purposes of use for which neither an opposition nor what the patient hid from professionals
            counts. A hidden identity stays hidden, and a blocked professional blocked.
        emergency_centres: codes of the sites that may declare ``centre_15``; ``None`` for any.
    """

    hidden_from_professionals: frozenset[str] = frozenset({f"MASQUE_PS^^{_VISIBILITY}"})
    hidden_from_patients: frozenset[str] = frozenset({f"INVISIBLE_PATIENT^^{_VISIBILITY}"})
    hidden_from_representatives: frozenset[str] = frozenset(
        {f"INVISIBLE_REPRESENTANTS_LEGAUX^^{_VISIBILITY}", f"INVISIBLE_PATIENT^^{_VISIBILITY}"}
    )
    emergency_purposes: frozenset[str] = EMERGENCIES
    emergency_centres: frozenset[str] | None = None

    def check_purpose(self, caller: Caller) -> None:
        """Let a caller declare its purpose of use: an emergency is declared by a person, never by a system alone.

        Raises:
            AccessDenied: it may not.
        """
        if caller.purpose not in EMERGENCIES:
            return
        if caller.user is None:
            raise AccessDenied("an emergency is declared by a person, not by a system")
        if (
            caller.purpose == EMERGENCY_CENTRE
            and self.emergency_centres is not None
            and caller.site not in self.emergency_centres
        ):
            raise AccessDenied("this site is no emergency centre")

    def reason_against(self, caller: Caller, confidentiality_codes: Sequence[str], wishes: Wishes) -> str | None:
        """Why the caller may not read a document; ``None`` when it may.

        Args:
            confidentiality_codes: of the document, ``code^^scheme``.
            wishes: of its patient.
        """
        codes = frozenset(confidentiality_codes)
        if REGION in caller.roles:
            return None
        if PATIENT in caller.roles:
            return "hidden from the patient" if codes & self.hidden_from_patients else None
        if REPRESENTATIVE in caller.roles:
            return "hidden from representatives" if codes & self.hidden_from_representatives else None
        if wishes.is_hidden:
            return "the identity is hidden"
        if caller.user is not None and caller.user in wishes.blocked:
            return "the patient blocks the professional"
        if caller.purpose in self.emergency_purposes:
            return None
        if codes & self.hidden_from_professionals:
            return "hidden from professionals"
        return "the patient opposes" if wishes.opposes_consultation else None
