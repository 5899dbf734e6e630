"""Who does what in the workbench.

A site steward (cellule d'identitovigilance of one establishment) sees and decides what concerns its own domain; a
regional steward sees every domain and arbitrates.
"""

from __future__ import annotations

from typing import Final

from mpi.domain.stewardship import REGIONAL_STEWARD, SITE_STEWARD

__all__ = ["ADMINISTRATOR", "AUDITOR", "EVERYBODY", "REGIONAL_STEWARD", "SITE_STEWARD", "STEWARDS"]

AUDITOR: Final = "auditor"
"""Reads the trails; changes nothing."""
ADMINISTRATOR: Final = "administrator"
"""Settings, domains, models; no patient data."""

STEWARDS: Final = frozenset({SITE_STEWARD, REGIONAL_STEWARD})
EVERYBODY: Final = frozenset({SITE_STEWARD, REGIONAL_STEWARD, AUDITOR, ADMINISTRATOR})
