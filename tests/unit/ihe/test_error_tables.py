"""Every refusal has a row in every wire's table."""

from __future__ import annotations

import pytest

from ihe import errors
from ihe import hl7v3_codes as hl7v3
from ihe.fhir import error_codes as fhir
from ihe.hl7v2 import error_codes as hl7v2
from ihe.soap import error_codes as soap


def _classes(base=errors.IheError):
    yield base
    for child in base.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _classes(child)


TABLES = {"hl7v2": hl7v2.ERROR_CODES, "hl7v3": hl7v3.ERROR_CODES, "fhir": fhir.ERROR_CODES, "soap": soap.FAULT_FORMS}


@pytest.mark.parametrize("wire", TABLES)
def test_every_error_has_a_row(wire):
    missing = [c.__name__ for c in _classes() if c not in TABLES[wire]]
    assert not missing
