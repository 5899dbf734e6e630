"""The wired parts that the JSON calls and the workbench use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mpi.application import MpiApplication
from web.oidc import OidcClient
from web.people import People
from xds.application import XdsApplication


@dataclass(frozen=True, slots=True)
class Workbench:
    """What the workbench needs beside the index and the registry.

    Attributes:
        region: its name, for people.
        site_names: names of the domains by code.
        site_finess: FINESS of the establishments by code, where verified.
        people: who may work here.
        oidc: the identity provider, or ``None`` when none is set.
        demo_login: whether people of the table may log in by a click; for the demonstration on loopback only.
        settings: name, value and meaning of every setting, secrets hidden, for the administrator.
    """

    region: str = ""
    site_names: Mapping[str, str] = field(default_factory=dict)
    site_finess: Mapping[str, str] = field(default_factory=dict)
    people: People = field(default_factory=People)
    oidc: OidcClient | None = None
    demo_login: bool = False
    settings: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WebApplication:
    """What region's bootstrap hands to the web package.

    Attributes:
        viewer: folder of the installed image viewer, or ``None`` when there is none.
    """

    mpi: MpiApplication
    xds: XdsApplication
    workbench: Workbench = field(default_factory=Workbench)
    viewer: Path | None = None
