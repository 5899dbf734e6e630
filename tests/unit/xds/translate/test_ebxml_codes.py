"""Every refusal has a code of the ebRS transactions, or is a fault on purpose."""

from __future__ import annotations

from ihe import errors
from xds.translate.ebxml_soap import EBXML_CODES, findings_of


def test_every_error_has_a_row() -> None:
    classes = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.IheError) and each.__module__ == errors.__name__
    ]
    assert len(classes) > 15
    assert [each.__name__ for each in classes if each not in EBXML_CODES] == []


def test_the_actor_stands_in_the_code() -> None:
    (finding,) = findings_of(errors.Unavailable("later"), "Repository") or ()
    assert finding.code == "XDSRepositoryBusy"
    assert findings_of(errors.AccessDenied("no"), "Registry") is None
