"""Settings: where a value comes from, what is refused, what is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mpi.domain.grades import Grade
from region import running
from region.settings import SettingsError, describe, load_settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("TRAITDUNION_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_without_anything_the_defaults_count() -> None:
    settings = load_settings()
    assert settings.sqlalchemy_url is None
    assert settings.data_dir == Path(".traitdunion")
    assert (settings.http_port, settings.mllp_port, settings.http_host) == (8080, 2575, "127.0.0.1")
    assert settings.region_table.is_file()
    assert all(row.value == row.default for row in describe(settings))


def test_the_command_line_beats_the_environment_and_the_environment_beats_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("traitdunion.toml").write_text("http_port = 1\nmllp_port = 2\nworkers = 3\n")
    monkeypatch.setenv("TRAITDUNION_HTTP_PORT", "4")
    monkeypatch.setenv("TRAITDUNION_MLLP_PORT", "5")
    settings = load_settings(http_port=6, threads=None)
    assert (settings.http_port, settings.mllp_port, settings.workers, settings.threads) == (6, 5, 3, 16)


def test_lists_of_codes_are_written_with_commas_or_as_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAITDUNION_STRICT_DOMAINS", "ROANNE, FEURS")
    Path("traitdunion.toml").write_text('certain_only_answers = ["SISRA"]\n')
    settings = load_settings()
    assert settings.strict_domains == ("ROANNE", "FEURS")
    assert settings.certain_only_answers == ("SISRA",)
    assert "ROANNE,FEURS" in {row.value for row in describe(settings)}


def test_everything_wrong_is_said_at_once_with_its_source_and_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAITDUNION_HTTP_PROT", "8080")
    monkeypatch.setenv("TRAITDUNION_MLLP_PORT", "70000")
    monkeypatch.setenv("TRAITDUNION_DATABASE_URL", "mysql://someone:sesame@host/name")
    Path("traitdunion.toml").write_text('colour = "blue"\nworkers = 0\n')
    with pytest.raises(SettingsError) as refusal:
        load_settings(http_port=80000)
    text = str(refusal.value)
    for said in (
        "TRAITDUNION_HTTP_PROT is no setting",
        "TRAITDUNION_MLLP_PORT: ",
        "TRAITDUNION_DATABASE_URL: it must begin with postgresql://",
        "traitdunion.toml: colour is no setting",
        "traitdunion.toml: workers: ",
        "command line: http_port: ",
    ):
        assert said in text
    assert not [value for value in ("sesame", "70000", "80000", "blue") if value in text]


def test_an_unreadable_file_is_refused() -> None:
    Path("traitdunion.toml").write_text("workers = \n")
    with pytest.raises(SettingsError, match=r"traitdunion\.toml: Invalid value"):
        load_settings()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_any_spelling_of_a_postgresql_url_gets_our_driver(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("TRAITDUNION_DATABASE_URL", f"{scheme}://someone:sesame@host:5433/name?sslmode=require")
    settings = load_settings()
    assert settings.sqlalchemy_url == "postgresql+psycopg://someone:sesame@host:5433/name?sslmode=require"


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAITDUNION_DATABASE_URL", "postgresql://someone:sesame@host/name")
    settings = load_settings()
    shown = {row.name: row.value for row in describe(settings)}
    assert shown["TRAITDUNION_DATABASE_URL"] == "(hidden)"
    assert "sesame" not in repr(settings) + str(describe(settings))


def test_every_setting_says_what_it_does() -> None:
    for row in describe(load_settings()):
        assert row.help.endswith("."), row.name


def test_addresses_for_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAITDUNION_CALLBACK_URLS", "https://his.example/fhir, http://10.1.2.3:8080")
    assert load_settings().callback_urls == ("https://his.example/fhir", "http://10.1.2.3:8080")
    monkeypatch.setenv("TRAITDUNION_CALLBACK_URLS", "his.example")
    with pytest.raises(SettingsError, match="TRAITDUNION_CALLBACK_URLS: each is an http or https address"):
        load_settings()


@pytest.mark.parametrize("name", ["strict_domains", "calibrated_domains", "certain_only_answers", "probable_answers"])
def test_a_policy_of_a_domain_that_there_is_not_stops_the_start(name: str) -> None:
    settings = load_settings(**{name: ("CHUSE", "CHUSEE")})
    with pytest.raises(running.StartFault, match=f"{name}: CHUSEE is no domain"):
        running.policies(settings, running.region_table(settings))


def test_policies_of_region_and_domain() -> None:
    settings = load_settings(
        link_policy="strict", calibrated_domains=("CHUSE",), answer_policy="strict", probable_answers=("GIER",)
    )
    policy, answered, by_domain = running.policies(settings, running.region_table(settings))
    assert policy.allows(Grade.PROBABLE, "CHUSE", "CHUSE")
    assert not policy.allows(Grade.PROBABLE, "CHUSE", "GIER")
    assert (answered, by_domain) == (frozenset({"certain"}), {"GIER": frozenset({"certain", "probable"})})
    both = load_settings(strict_domains=("CHUSE",), calibrated_domains=("CHUSE",))
    with pytest.raises(running.StartFault, match="both"):
        running.policies(both, running.region_table(both))
