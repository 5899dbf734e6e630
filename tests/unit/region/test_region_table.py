"""The table of domains: what it holds, how it is asked, and how mistakes in it are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ihe.values import AssigningAuthority, Oid
from region.region_table import DomainKind, RegionTable, RegionTableError, load_region

REGION_TOML = Path(__file__).parents[3] / "fixtures" / "region.toml"
SITES = ("CHUSE", "GIER", "MONTBRISON", "FIRMINY", "FEURS", "ROANNE", "ANNONAY", "MFL", "IRMAS", "ICL")


@pytest.fixture(scope="module")
def table() -> RegionTable:
    return load_region(REGION_TOML)


def test_the_codes_that_outsiders_rely_on_are_there(table: RegionTable) -> None:
    assert tuple(domain.code for domain in table.establishments) == SITES
    assert {domain.code for domain in table} >= {*SITES, "SISRA", "REGION", "INS-NIR", "INS-NIA"}
    assert table.region.code == "REGION"
    assert table.region.repository_unique_id is not None


def test_every_site_says_where_its_images_are_and_who_feeds_it(table: RegionTable) -> None:
    for site in table.establishments:
        assert site.pacs_url
        assert site.repository_unique_id
        assert site.imaging_source_id
        assert site.accession_authority
        assert site.notification is not None
        assert not site.notification.enabled
        assert table.by_sender("GAM", site.code) is site


def test_own_oids_are_below_2_25_and_national_ones_are_national(table: RegionTable) -> None:
    for domain in table:
        own = domain.oid.startswith("2.25.")
        assert own is (domain.kind is not DomainKind.NATIONAL)
    assert table.by_code("INS-NIR").oid == "1.2.250.1.213.1.4.8"
    assert table.by_code("INS-NIA").oid == "1.2.250.1.213.1.4.9"


def test_only_the_verified_finess_number_is_stated(table: RegionTable) -> None:
    assert {domain.code: domain.finess for domain in table if domain.finess} == {"CHUSE": "420784878"}


def test_the_oid_decides_and_a_bare_namespace_serves_without_it(table: RegionTable) -> None:
    roanne, chuse = table.by_code("ROANNE"), table.by_code("CHUSE")
    assert table.by_authority(roanne.authority) is roanne
    assert table.by_authority(AssigningAuthority("CHUSE", roanne.oid)) is roanne
    assert table.by_authority(AssigningAuthority("CHUSE")) is chuse
    assert table.by_authority(AssigningAuthority("CHUSE", Oid("1.2.3"))) is None
    assert table.by_authority(AssigningAuthority("NOWHERE")) is None
    with pytest.raises(KeyError):
        table.by_code("NOWHERE")
    assert table.by_sender("GAM", "NOWHERE") is None


def test_test_identities_are_known_but_refused_in_production(table: RegionTable) -> None:
    test_ins = AssigningAuthority("ASIP-SANTE-INS-NIR", Oid("1.2.250.1.213.1.4.10"))
    found = table.by_authority(test_ins)
    assert found is not None
    assert found.test_only
    assert found.is_ins
    production = load_region(REGION_TOML, production=True)
    assert production.by_authority(test_ins) is None
    assert len(production) == len(table) - 2
    bare = table.by_authority(AssigningAuthority("ASIP-SANTE-INS-NIR"))
    assert bare is table.by_code("INS-NIR")


HEAD = '[region]\nname = "R"\nhome_community_id = "1.2.3"\n\n'
RID = '[[domain]]\ncode = "REGION"\nname = "r"\nkind = "region"\noid = "1.2.4"\nnamespace = "REGION"\n'
SITE = '[[domain]]\ncode = "SITE"\nname = "s"\nkind = "establishment"\noid = "1.2.5"\nnamespace = "SITE"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[region", "region.toml: "),
        ("", "[region] needs name and home_community_id"),
        (HEAD, "there is no [[domain]]"),
        (HEAD + SITE, "exactly one [[domain]] must be of kind region"),
        (HEAD.replace("1.2.3", "x") + RID, "home_community_id is not an OID"),
        (HEAD + RID + "\n[other]\n", "unknown table other"),
        (HEAD + RID + SITE.replace('name = "s"\n', ""), "region.toml:11: domain SITE: name is required"),
        (HEAD + RID + SITE.replace("1.2.5", "1.2.4"), "region.toml:15: domain SITE: oid is already used by REGION"),
        (HEAD + RID + SITE.replace("1.2.5", "1.02"), "region.toml:15: domain SITE: oid is not a dotted OID"),
        (HEAD + RID + SITE + 'colour = "red"\n', "region.toml:17: domain SITE: colour is not a known key"),
        (HEAD + RID + SITE + 'finess = "12"\n', "region.toml:17: domain SITE: finess must be nine digits"),
        (HEAD + RID + SITE + "test_only = 1\n", "region.toml:17: domain SITE: test_only must be a bool"),
        (HEAD + RID + SITE + 'pacs_url = "ftp://x"\n', "region.toml:17: domain SITE: pacs_url must be"),
        (HEAD + RID + SITE + 'change_feed = "x"\n', "region.toml:17: domain SITE: change_feed must be an http"),
        (HEAD + RID + SITE + "publish = 1\n", "region.toml:17: domain SITE: publish must be a bool"),
        (HEAD + RID + SITE + 'senders = ["GAM"]\n', "region.toml:17: domain SITE: senders must each be written"),
        (HEAD + RID + SITE + "notification = { enabled = true }\n", "region.toml:17: domain SITE: notification needs"),
        (HEAD + RID + SITE + 'notified_of = ["NOBODY"]\n', "domain SITE: notified_of names a domain that is not there"),
        (HEAD + RID + SITE + "notification_v3 = { enabled = true }\n", "domain SITE: notification_v3 needs exactly"),
        (
            HEAD + RID + SITE + 'notification_v3 = { enabled = true, url = "ftp://x", device = "1.2" }\n',
            "domain SITE: notification_v3 needs an http address",
        ),
        (
            HEAD + RID + SITE + 'notification_fhir = { enabled = true, url = "ftp://x" }\n',
            "domain SITE: notification_fhir needs an http address",
        ),
        (HEAD + RID + SITE.replace("establishment", "shop"), "region.toml:14: domain SITE: kind must be one of"),
        (
            HEAD + RID + SITE + 'senders = ["A|B"]\n' + SITE.replace("SITE", "TWO").replace("1.2.5", "1.2.6") + 'senders = ["A|B"]\n',  # noqa: E501
            "region.toml:24: domain TWO: senders is already used by SITE",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "region.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RegionTableError) as refused:
        load_region(path)
    assert any(problem in found for found in refused.value.problems), refused.value.problems


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "region.toml"
    path.write_text(HEAD + RID + SITE + 'finess = "12"\ncog = "4"\n', encoding="utf-8")
    with pytest.raises(RegionTableError) as refused:
        load_region(path)
    assert len(refused.value.problems) == 2


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(RegionTableError, match=r"region\.toml"):
        load_region(tmp_path / "region.toml")


REGISTRY = '[[registry]]\nname = "NORTH"\nenabled = true\nhost = "h"\nport = 1\napplication = "A"\nfacility = "F"\n'


def test_registries_that_hear_of_changed_links(tmp_path: Path) -> None:
    file = tmp_path / "region.toml"
    file.write_text(REGION_TOML.read_text(encoding="utf-8") + REGISTRY, encoding="utf-8")
    (registry,) = load_region(file).registries
    assert (registry.name, registry.notification.enabled, registry.notification.port) == ("NORTH", True, 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (REGISTRY + REGISTRY, "needs a name of its own"),
        (REGISTRY.replace('name = "NORTH"\n', ""), "needs a name of its own"),
        (REGISTRY.replace("port = 1", "port = 0"), "registry NORTH: has a port outside"),
        (REGISTRY.replace("enabled = true\n", ""), "registry NORTH: needs exactly"),
    ],
)
def test_a_wrong_registry_is_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "region.toml"
    file.write_text(REGION_TOML.read_text(encoding="utf-8") + text, encoding="utf-8")
    with pytest.raises(RegionTableError, match=problem):
        load_region(file)


COMMUNITY = '[[community]]\nname = "SOUTH"\nhome_community_id = "2.25.9"\nxca_query = "http://s/q"\n'


def test_communities_that_are_asked_are_read_and_their_mistakes_named(tmp_path: Path) -> None:
    base = REGION_TOML.read_text(encoding="utf-8")
    file = tmp_path / "region.toml"
    file.write_text(base + COMMUNITY, encoding="utf-8")
    (community,) = load_region(file).communities
    assert community.home_community_id == "2.25.9"
    assert (community.xca_query, community.xca_retrieve, community.timeout_seconds) == ("http://s/q", None, 15.0)
    for wrong, says in {
        COMMUNITY + COMMUNITY: "is another's",
        COMMUNITY + 'colour = "blue"\n': "colour is not a known key",
        COMMUNITY.replace("2.25.9", "nine"): "dotted OID",
        COMMUNITY.replace("http://s/q", "s/q"): "xca_query must be",
        COMMUNITY + 'xcai_retrieve = "s/i"\n': "xcai_retrieve must be",
        COMMUNITY + "timeout_seconds = 0\n": "timeout_seconds",
        COMMUNITY + "remember_days = 0.5\n": "remember_days",
    }.items():
        file.write_text(base + wrong, encoding="utf-8")
        with pytest.raises(RegionTableError, match=says):
            load_region(file)
