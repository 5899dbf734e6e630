"""Settings: environment variables ``TRAITDUNION_…``, or ``traitdunion.toml`` in the working folder; the former win.

Each setting has a default and a sentence that says what it does; ``traitdunion settings`` prints all of them. A name
that is no setting is refused, so that a misspelt one does not pass in silence.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "TRAITDUNION_"
FILE: Final = Path("traitdunion.toml")
_REGION_TABLE: Final = Path(__file__).resolve().parent.parent / "fixtures" / "region.toml"


class SettingsError(ValueError):
    """A setting is unknown or has a value it cannot have; one sentence for each."""


class Settings(BaseSettings):
    """All settings. Sizes are in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    database_url: Annotated[
        SecretStr | None,
        Field(description="PostgreSQL 15 or later to use; unset: an embedded one in the data folder."),
    ] = None
    data_dir: Annotated[Path, Field(description="Folder of the embedded database and of stored documents.")] = Path(
        ".traitdunion"
    )
    region_table: Annotated[Path, Field(description="The table of domains (region.toml).")] = _REGION_TABLE
    production: Annotated[
        bool, Field(description="Refuse identifiers of test authorities (test and demonstration INS).")
    ] = False
    http_host: Annotated[str, Field(description="Address that both listeners bind.")] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535, description="HTTP port.")] = 8080
    mllp_port: Annotated[int, Field(ge=0, le=65535, description="MLLP port.")] = 2575
    workers: Annotated[int, Field(ge=1, le=64, description="Processes that listen.")] = 1
    threads: Annotated[int, Field(ge=1, le=256, description="Requests served at once by each listener.")] = 16
    max_message_bytes: Annotated[
        int, Field(ge=1024, description="Longest HL7 v2 message, and longest HTTP body without documents.")
    ] = 16 * 1024 * 1024
    max_document_bytes: Annotated[int, Field(ge=1024, description="Longest request with documents.")] = 4 * 1024**3
    idle_timeout_seconds: Annotated[
        float, Field(gt=0, description="How long an MLLP connection may say nothing before it is closed.")
    ] = 600.0
    link_policy: Annotated[
        Literal["calibrated", "strict"],
        Field(description="Which grades link by themselves: calibrated (certain, probable) or strict (certain)."),
    ] = "calibrated"
    strict_domains: Annotated[
        tuple[str, ...], Field(description="Codes of domains whose records link by themselves only when certain.")
    ] = ()
    certain_only_answers: Annotated[
        tuple[str, ...], Field(description="Codes of domains that are answered with certain links only.")
    ] = ()
    outbox_max_attempts: Annotated[
        int, Field(ge=1, description="Failed deliveries after which a notification becomes a dead letter.")
    ] = 20
    repeat_window_days: Annotated[
        int, Field(ge=1, description="How long a repeated message is recognised and answered as before.")
    ] = 30
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least severe log entries written.")
    ] = "info"
    log_format: Annotated[Literal["json", "text"], Field(description="How log entries are written.")] = "json"


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a name is unknown or a value impossible.
    """
    content = _file_content()
    known = Settings.model_fields
    problems = [f"{FILE}: {name} is no setting" for name in content if name not in known]
    stated = {name.removeprefix(PREFIX).lower(): name for name in os.environ if name.startswith(PREFIX)}
    problems += [f"{name} is no setting" for short, name in stated.items() if short not in known]
    if problems:
        raise SettingsError("; ".join(problems))
    try:
        return Settings(**{name: value for name, value in content.items() if name not in stated})
    except ValidationError as error:
        found = [f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsError("; ".join(found)) from None


def _file_content() -> dict[str, Any]:
    if not FILE.is_file():
        return {}
    try:
        return tomllib.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{FILE}: {error}") from error


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as printed."""

    name: str
    value: str
    default: str
    help: str


def describe(settings: Settings) -> list[SettingRow]:
    """Every setting with its present value; secrets are hidden."""
    return [
        SettingRow(
            name=PREFIX + name.upper(),
            value=_shown(getattr(settings, name)),
            default=_shown(field.default),
            help=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "(hidden)"
    if value is None:
        return "(unset)"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)
