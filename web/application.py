"""The wired parts that the JSON calls and the workbench use."""

from __future__ import annotations

from dataclasses import dataclass

from mpi.application import MpiApplication
from xds.application import XdsApplication


@dataclass(frozen=True, slots=True)
class WebApplication:
    """What region's bootstrap hands to the web package."""

    mpi: MpiApplication
    xds: XdsApplication
