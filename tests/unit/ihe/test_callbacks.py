"""Addresses that callers name: what a list allows, and what stays out of reach where only public machines count."""

from __future__ import annotations

import socket

import pytest

from ihe.callbacks import CallbackRule
from ihe.errors import AccessDenied, Unavailable

LISTED = CallbackRule(("https://his.example/fhir", "http://10.1.2.3:8080"))
PUBLIC = CallbackRule(public_only=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://his.example/fhir",
        "https://HIS.example:443/fhir/Patient",
        "http://10.1.2.3:8080/anything/below",
    ],
)
def test_what_a_list_allows(url):
    LISTED.check(url)
    assert LISTED.destination(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://his.example/fhir",
        "https://his.example/fhirx",
        "https://his.example/fhir/../admin",
        "https://his.example/fhir/%2e%2e/admin",
        "https://his.example:444/fhir",
        "https://his.example.evil.example/fhir",
        "https://his.example@evil.example/fhir",
        "https://evil.example\\@his.example/fhir",
        "http://10.1.2.3/",
        "file:///etc/passwd",
        "http://[broken",
    ],
)
def test_what_a_list_refuses(url):
    with pytest.raises(AccessDenied):
        LISTED.check(url)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "224.0.0.1"],
)
def test_private_numbers_are_refused_at_once_in_production_only(host):
    CallbackRule().check(f"http://{host}/")
    with pytest.raises(AccessDenied):
        PUBLIC.check(f"http://{host}:8080/x")


def leads_to(monkeypatch, *numbers):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, 443)) for number in numbers]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)


def test_a_name_that_leads_inside_is_refused_and_a_public_one_is_held_to_its_number(monkeypatch):
    PUBLIC.check("https://partner.example/fhir")
    leads_to(monkeypatch, "192.0.0.8", "127.0.0.1")
    with pytest.raises(AccessDenied):
        PUBLIC.destination("https://partner.example/fhir")
    leads_to(monkeypatch, "198.41.0.4")
    found = PUBLIC.destination("https://partner.example/fhir?x=1")
    assert found.url == "https://198.41.0.4:443/fhir?x=1"
    assert found.headers == {"Host": "partner.example"}
    assert found.extensions == {"sni_hostname": "partner.example"}


def test_a_name_that_leads_nowhere_may_be_tried_again(monkeypatch):
    def fails(*_args, **_more):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(Unavailable):
        PUBLIC.destination("http://partner.example/")
