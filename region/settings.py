"""Settings: environment variables ``TRAITDUNION_…``, or ``traitdunion.toml`` in the working folder; the former win.

Each setting has a default and a sentence that says what it does; ``traitdunion settings`` prints all of them. A name
that is no setting is refused, so that a misspelt one does not pass in silence; whatever is wrong is said at once, by
name and source, and no value is quoted.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from ihe.confidentiality import ReadingRules

PREFIX: Final = "TRAITDUNION_"
FILE: Final = Path("traitdunion.toml")
_NOT_SETTINGS: Final = frozenset({"TRAITDUNION_SHARED"})
"""Variables with that prefix that only the tests read."""
_REGION_TABLE: Final = Path(__file__).resolve().parent.parent / "fixtures" / "region.toml"


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Codes = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Codes separated by commas in a variable, a list in the file."""


class SettingsError(ValueError):
    """A setting is unknown or has a value it cannot have; one line for each."""


class Settings(BaseSettings):
    """All settings. Sizes are in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    database_url: Annotated[
        SecretStr | None,
        Field(description="PostgreSQL 15 or later to use; unset: an embedded one in the data folder."),
    ] = None
    replica_url: Annotated[
        SecretStr | None,
        Field(description="A replica of the database, from which questions are answered while it is fresh."),
    ] = None
    replica_seconds: Annotated[
        float, Field(gt=0, le=60, description="How far the replica may be behind when it is asked.")
    ] = 1.0
    data_dir: Annotated[Path, Field(description="Folder of the embedded database and of stored documents.")] = Path(
        ".traitdunion"
    )
    document_store: Annotated[
        SecretStr | None,
        Field(description="Object store for documents, s3://bucket/prefix?endpoint=…; unset: the data folder."),
    ] = None
    region_table: Annotated[Path, Field(description="The table of domains (region.toml).")] = _REGION_TABLE
    people_table: Annotated[
        Path | None, Field(description="Who may work in the workbench (like fixtures/people.toml); unset: nobody.")
    ] = None
    oidc_issuer: Annotated[
        str | None, Field(description="Identity provider of the workbench (OpenID Connect issuer); unset: no login.")
    ] = None
    oidc_client_id: Annotated[str, Field(description="Our name at the identity provider.")] = "traitdunion"
    oidc_client_secret: Annotated[SecretStr | None, Field(description="Our secret at the identity provider.")] = None
    oidc_scope: Annotated[str, Field(description="What the identity provider is asked to tell.")] = "openid scope_all"
    oidc_acr_values: Annotated[str, Field(description="Level of assurance that a login must have; empty: any.")] = (
        "eidas1"
    )
    production: Annotated[
        bool, Field(description="Refuse identifiers of test authorities (test and demonstration INS).")
    ] = False
    http_host: Annotated[str, Field(description="Address that both listeners bind.")] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535, description="HTTP port.")] = 8080
    mllp_port: Annotated[int, Field(ge=0, le=65535, description="MLLP port.")] = 2575
    tls_certificate: Annotated[
        Path | None,
        Field(description="Our certificate with its chain (PEM): TLS with client certificates; unset: loopback only."),
    ] = None
    tls_key: Annotated[Path | None, Field(description="Key of our certificate (PEM, not encrypted).")] = None
    tls_authorities: Annotated[
        Path | None, Field(description="Authorities whose certificates callers may show (PEM).")
    ] = None
    tls_revoked: Annotated[
        Path | None, Field(description="Revocation lists of these authorities (PEM); unset: nothing is revoked.")
    ] = None
    trusted_proxies: Annotated[
        Codes,
        Field(
            description="Addresses or networks of reverse proxies that end TLS for HTTP and hand on the caller's"
            " certificate (X-Client-Certificate); HTTP is then plain, and serves nobody else."
        ),
    ] = ()
    issuers_table: Annotated[
        Path | None,
        Field(
            description="Whose assertions and tokens of users are believed (like fixtures/issuers.toml); unset: none."
        ),
    ] = None
    audiences: Annotated[
        Codes, Field(description="Names under which assertions and tokens mean this service (Audience, aud).")
    ] = ()
    clock_skew_seconds: Annotated[
        float, Field(ge=0, le=600, description="How far the clocks of issuers of assertions and tokens may differ.")
    ] = 60.0
    assertions_count_once: Annotated[
        bool, Field(description="Whether each SAML assertion counts once, and not only those that say so (OneTimeUse).")
    ] = False
    users_required: Annotated[
        Codes,
        Field(
            description="Where systems may not act by themselves: paths (/fhir, /ihe/registry), for systems of one role"
            " as role:/path; unset: where the matrix lets a system act, it may act without a user."
        ),
    ] = ()
    workers: Annotated[
        int | None,
        Field(
            ge=1,
            le=64,
            description="Processes that listen; unset: one for each core, but for one core where the database runs on"
            " the same machine (no database URL).",
        ),
    ] = None
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
        Codes, Field(description="Codes of domains whose records link by themselves only when certain.")
    ] = ()
    calibrated_domains: Annotated[
        Codes, Field(description="Codes of domains whose records also link when probable, where link_policy is strict.")
    ] = ()
    both_sites_vote: Annotated[
        bool, Field(description="Whether both owning sites must vote on a link; else one site's answer decides.")
    ] = True
    four_eyes: Annotated[
        bool, Field(description="Whether two people must give the answer where an INS is qualified.")
    ] = True
    sources_unmerge: Annotated[
        bool,
        Field(description="Whether a source may take its own merges back by message (ITI-93); else a steward does."),
    ] = False
    wanted_false_links: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="Share of automatic links that may be false, from which training derives thresholds; unset:"
            " French thresholds stay as they are, others are derived for 0.0005.",
        ),
    ] = None
    answer_policy: Annotated[
        Literal["calibrated", "strict"],
        Field(
            description="With which links domains are answered (PIX, documents, prior studies): calibrated (certain,"
            " probable) or strict (certain)."
        ),
    ] = "calibrated"
    certain_only_answers: Annotated[
        Codes, Field(description="Codes of domains that are answered with certain links only.")
    ] = ()
    probable_answers: Annotated[
        Codes, Field(description="Codes of domains also answered with probable links, where answer_policy is strict.")
    ] = ()
    patient_index: Annotated[
        Literal["own", "other"],
        Field(description="Whose patients documents follow: own, or those another index feeds (ITI-8, 44, 64)."),
    ] = "own"
    code_table: Annotated[
        Path | None,
        Field(description="Codes of the affinity domain (CSV: attribute,code,scheme,display); unset: the French ones."),
    ] = None
    lenient_codes: Annotated[
        Codes,
        Field(description="Attributes (classCode, typeCode…) of which codes outside the table pass with a warning."),
    ] = ()
    keep_on_demand: Annotated[
        bool, Field(description="Keep and register each document that is made on demand (a snapshot).")
    ] = False
    hidden_from_professionals: Annotated[
        Codes, Field(description="Confidentiality codes, code^^scheme, that hide a document from professionals.")
    ] = tuple(sorted(ReadingRules().hidden_from_professionals))
    hidden_from_patients: Annotated[
        Codes, Field(description="Confidentiality codes that hide a document from its patient.")
    ] = tuple(sorted(ReadingRules().hidden_from_patients))
    hidden_from_representatives: Annotated[
        Codes, Field(description="Confidentiality codes that hide a document from who represents its patient by law.")
    ] = tuple(sorted(ReadingRules().hidden_from_representatives))
    emergency_purposes: Annotated[
        Codes,
        Field(description="Purposes of use for which oppositions and what is hidden from professionals don't count."),
    ] = tuple(sorted(ReadingRules().emergency_purposes))
    emergency_centres: Annotated[
        Codes, Field(description="Codes of the sites that may declare centre_15; empty for any site's people.")
    ] = ()
    officer_address: Annotated[
        str | None, Field(description="E-mail of the regional officer, who is told of each emergency that is declared.")
    ] = None
    public_url: Annotated[
        str, Field(description="Address of the workbench as people reach it, for links in e-mail.")
    ] = "http://localhost:8080"
    mail_server: Annotated[str, Field(description="Mail server as HOST:PORT.")] = "localhost:25"
    mail_sender: Annotated[str, Field(description="Sender of e-mail.")] = "traitdunion@localhost"
    mail_tls: Annotated[bool, Field(description="Require STARTTLS of the mail server.")] = True
    coerce_patient_ids: Annotated[
        bool,
        Field(description="Show pictures under the asker's patient id, the originals beside it."),
    ] = True
    archive_streams: Annotated[int, Field(ge=1, le=256, description="Answers read at once from each archive.")] = 16
    archive_timeout_seconds: Annotated[
        float, Field(gt=0, description="How long an archive may take to begin its answer, or between two pieces of it.")
    ] = 10.0
    callback_urls: Annotated[
        Codes,
        Field(
            description="Addresses below which callers may have messages sent (FHIR subscriptions, answers that"
            " are not wanted on the connection of the request);"
            " unset: any, in production any public one."
        ),
    ] = ()
    outbox_max_attempts: Annotated[
        int, Field(ge=1, description="Failed deliveries after which a notification becomes a dead letter.")
    ] = 20
    outbox_keep_days: Annotated[
        int, Field(ge=1, description="How long delivered notifications are kept and can be replayed.")
    ] = 30
    repeat_window_days: Annotated[
        int, Field(ge=1, description="How long a repeated message is recognised and answered as before.")
    ] = 30
    audit_collector: Annotated[
        str | None,
        Field(
            pattern=r"^syslog(\+tls)?://[^/:\s]+:[0-9]{1,5}$",
            description="Where audit events go: syslog+tls://host:6514; syslog:// (in the clear) to loopback only.",
        ),
    ] = None
    audit_collector_ca: Annotated[
        Path | None, Field(description="Authorities trusted for the collector (PEM); unset: the system's.")
    ] = None
    audit_client_certificate: Annotated[
        Path | None, Field(description="Certificate and key (PEM, one file) shown to the collector.")
    ] = None
    audit_keep_days: Annotated[
        int | None, Field(ge=1, description="How long audit events are kept; unset: for ever.")
    ] = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least severe log entries written.")
    ] = "info"
    log_format: Annotated[Literal["json", "text"], Field(description="How log entries are written.")] = "json"

    @field_validator("database_url", "replica_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                url = make_url(value.get_secret_value())
            except ArgumentError:
                raise ValueError("it is no database URL") from None
            if url.get_backend_name() not in {"postgresql", "postgres"}:
                raise ValueError("it must begin with postgresql://")
        return value

    @field_validator("callback_urls")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(each.startswith(("http://", "https://")) for each in value):
            raise ValueError("each is an http or https address")
        return value

    @field_validator("users_required")
    @classmethod
    def _are_paths(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"([a-z-]+:)?/\S*", each) for each in value):
            raise ValueError("each is a path, or role:/path")
        return value

    @property
    def sqlalchemy_url(self) -> str | None:
        """The database to use, with the driver of this service; ``None`` for the embedded one."""
        return _with_driver(self.database_url)

    @property
    def sqlalchemy_replica_url(self) -> str | None:
        """Its replica, or ``None``."""
        return _with_driver(self.replica_url)


def _with_driver(url: SecretStr | None) -> str | None:
    if url is None:
        return None
    return make_url(url.get_secret_value()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings.

    Args:
        overrides: values from the command line, checked like the others; ``None`` means not given.

    Raises:
        SettingsError: names are unknown or values impossible; all of them are said.
    """
    content = _file_content()
    known = Settings.model_fields
    stated = {name.removeprefix(PREFIX).lower(): name for name in os.environ if name.startswith(PREFIX)}
    problems = [f"{FILE}: {name} is no setting" for name in content if name not in known]
    unknown = [name for short, name in stated.items() if short not in known and name not in _NOT_SETTINGS]
    problems += [f"{name} is no setting" for name in unknown]
    given = {name: value for name, value in content.items() if name in known and name not in stated}
    given |= {name: value for name, value in overrides.items() if value is not None}
    settings: Settings | None = None
    try:
        settings = Settings(**given)
    except ValidationError as error:
        problems += [_sentence(finding, stated, overrides) for finding in error.errors(include_input=False)]
    if problems or settings is None:
        raise SettingsError("the settings cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))
    return settings


def _sentence(finding: Mapping[str, Any], stated: Mapping[str, str], overrides: Mapping[str, Any]) -> str:
    name = str(finding["loc"][0])
    source = "command line: " + name if overrides.get(name) is not None else stated.get(name, f"{FILE}: {name}")
    return f"{source}: {str(finding['msg']).removeprefix('Value error, ')}"


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
        return ",".join(value) or "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
