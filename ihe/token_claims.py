"""What the content of a token says of who asks: as IUA has it, and as Pro Santé Connect has it.

Source: IHE IUA: 3.71.4.2.2.1 (JWT access token, ``extensions.ihe_iua``); Pro Santé Connect, userinfo and introspection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ihe.claims import Claims, Coded
from ihe.errors import InvalidToken

PROFESSION: Final = "1.2.250.1.71.1.2.7"
"""Code system of professions (TRE G15)."""


def read_claims(content: Mapping[str, Any], issuer: str, *, is_scoped: bool) -> Claims:
    """Read the content of a token that holds.

    Args:
        is_scoped: whether the token opens only what its scopes name.

    Raises:
        InvalidToken: it names no subject, or what it says has not the form that it must have.
    """
    client = str(content.get("azp") or content.get("client_id") or "")
    subject = content.get("SubjectNameID") or content.get("sub") or client
    if not isinstance(subject, str) or not subject.strip():
        raise InvalidToken("the token names no subject")
    iua = _mapping(_mapping(content.get("extensions")).get("ihe_iua"))
    roles = tuple(dict.fromkeys((*_coded(iua.get("subject_role")), *_professions(content))))
    purposes = tuple(dict.fromkeys((*_coded(iua.get("purpose_of_use")), *_coded(content.get("purpose_of_use")))))
    if len(purposes) > 1:
        raise InvalidToken("the token names two purposes of use")
    acts_by_itself = not roles and (content.get("sub") in (None, client) and bool(client))
    return Claims(
        issuer=issuer,
        subject=None if acts_by_itself else subject.strip(),
        roles=roles,
        purpose=purposes[0] if purposes else None,
        organisations=frozenset((*_texts(iua.get("subject_organization_id")), *_structures(content))),
        patient=_patient(iua.get("person_id")),
        scopes=frozenset(_texts(content.get("scope"))) if is_scoped else None,
    )


def _professions(content: Mapping[str, Any]) -> Iterator[Coded]:
    """Pro Santé Connect: of the role that the person is logged in with, else of their activities."""
    stated = [Coded.read(each) for each in _list(content.get("SubjectRole")) if isinstance(each, str)]
    if stated:
        yield from stated
        return
    for practice in _practices(content):
        if isinstance(code := practice.get("codeProfession"), str) and code:
            yield Coded(code, PROFESSION)


def _structures(content: Mapping[str, Any]) -> Iterator[str]:
    stated = content.get("SubjectOrganizationID")
    if isinstance(stated, str) and stated:
        yield stated
        return
    for practice in _practices(content):
        for activity in _list(practice.get("activities")):
            for name in ("numeroFinessSite", "numeroFinessetablissementJuridique"):
                if isinstance(value := _mapping(activity).get(name), str) and value:
                    yield value


def _practices(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for each in _list(_mapping(content.get("SubjectRefPro")).get("exercices")):
        yield _mapping(each)


def _coded(value: object) -> Iterator[Coded]:
    """Codes as FHIR codings or as texts (``code^system``)."""
    for each in _list(value):
        if isinstance(each, str) and each.strip():
            yield Coded.read(each)
        elif isinstance(code := _mapping(each).get("code"), str) and code:
            yield Coded(code, str(_mapping(each).get("system") or "").removeprefix("urn:oid:"))


def _patient(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidToken("the patient of the token is no identifier")
    return value


def _texts(value: object) -> list[str]:
    """Of a list of texts, or of one with spaces between."""
    return value.split() if isinstance(value, str) else [each for each in _list(value) if isinstance(each, str)]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
