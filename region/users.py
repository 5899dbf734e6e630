"""From what an issuer says of a user, and the system through which the user comes, to the caller.

A user never reaches further than both: the issuer must speak for users of the site, the system must act for it, and the
user's own roles decide what they may do there. A gateway stays a gateway, whoever stands behind it.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ihe.caller import Caller
from ihe.claims import Claims, Coded
from ihe.errors import AccessDenied, InvalidToken
from ihe.values import AssigningAuthority, Oid, PatientId
from region.issuers import ANY_CODE, Issuers
from region.nodes import SYSTEM, Node
from region.region_table import Domain

SCOPES: Final = Path(__file__).with_name("scopes.csv")
_ACTIONS: Final = {"read": "rs", "write": "cud", "*": "cruds"}
_NUMBER: Final = re.compile(r"(ITI|RAD|TDU)-[1-9][0-9]{0,3}")


class Scope(NamedTuple):
    """A transaction, and the actions (letters of ``cruds``) on a resource that it is for SMART."""

    resource: str
    actions: frozenset[str]
    transaction: str


def load_scopes(path: Path = SCOPES) -> tuple[Scope, ...]:
    """The table of scopes."""
    with path.open(encoding="utf-8", newline="") as lines:
        return tuple(
            Scope(row["resource"], frozenset(row["actions"]), row["transaction"]) for row in csv.DictReader(lines)
        )


def granted(scopes: Iterable[str], table: Iterable[Scope]) -> frozenset[str]:
    """The transactions that scopes open: named by number (``ITI-67``), or as SMART does (``user/Patient.read``).

    A transaction of which a scope names only some actions stays closed. Scopes of a patient (``patient/…``) open
    nothing: what they reach depends on whose token it is.

    Source: IHE IUA: 3.71.4.1.2; SMART App Launch 2: scopes.
    """
    opened: set[str] = set()
    actions: dict[str, set[str]] = defaultdict(set)
    for scope in scopes:
        context, _, rest = scope.partition("/")
        resource, _, letters = rest.partition(".")
        if _NUMBER.fullmatch(scope):
            opened.add(scope)
        elif context in ("user", "system") and "?" not in letters:
            actions[resource] |= set(_ACTIONS.get(letters, letters))
    opened |= {row.transaction for row in table if row.actions <= actions[row.resource] | actions["*"]}
    return frozenset(opened)


class Users:
    """Makes callers of users.

    Args:
        domains: of the region.
    """

    def __init__(self, domains: Iterable[Domain]) -> None:
        self._sites: dict[str, set[str]] = defaultdict(set)
        for domain in domains:
            names = {domain.code, domain.oid, f"urn:oid:{domain.oid}"}
            if domain.finess:
                names |= {domain.finess, f"1{domain.finess}"}  # in a national identifier of a structure 1 is FINESS
            for name in names:
                self._sites[str(name)].add(domain.code)
        self._scopes = load_scopes()

    def caller(self, claims: Claims, issuers: Issuers, node: Node) -> Caller:
        """The caller, without the authority of the site.

        Raises:
            InvalidToken: the patient that is named is no identifier.
            AccessDenied: the purpose is none that is known, or the user is of a site for which the system does not act
                or the issuer does not speak.
        """
        purpose = "normal" if claims.purpose is None else issuers.purposes.get(claims.purpose)
        if purpose is None:
            raise AccessDenied("the purpose of use is none that is served here")
        is_of_user = claims.subject is not None and SYSTEM in node.roles
        return Caller(
            node=node.name,
            site=self._site(claims, issuers, node),
            user=claims.subject,
            vouched=claims.vouched,
            roles=_roles(claims.roles, issuers.roles) if is_of_user else node.roles,
            purpose=purpose,
            scopes=None if claims.scopes is None else granted(claims.scopes, self._scopes),
            patient=_patient(claims.patient),
            single_use=claims.single_use,
        )

    def _site(self, claims: Claims, issuers: Issuers, node: Node) -> str | None:
        """The one site for which user, system and issuer all stand; ``None`` where that is not one."""
        stated = {code for name in claims.organisations for code in self._sites.get(name, ())}
        possible = [each for each in (stated, set(node.sites), set(issuers.sites.get(claims.issuer, ()))) if each]
        if not possible:
            return None
        common = set.intersection(*possible)
        if not common:
            raise AccessDenied("the user is of no site for which this system acts and the issuer speaks")
        return next(iter(common)) if len(common) == 1 else None


def _roles(codes: Collection[Coded], meanings: Mapping[Coded, str]) -> frozenset[str]:
    found = {meanings.get(code) or meanings.get(_any_of(code)) for code in codes}
    return frozenset(role for role in found if role)


def _patient(stated: str | None) -> str | None:
    """The patient as CX, of a CX or of ``urn:oid:…|value``."""
    if stated is None:
        return None
    system, bar, value = stated.rpartition("|")
    try:
        if bar:
            return PatientId(value, AssigningAuthority(None, Oid(system.removeprefix("urn:oid:")))).xds_cx
        return PatientId.from_xds_cx(stated).xds_cx
    except ValueError as error:
        raise InvalidToken("the patient of the assertion or token is no identifier") from error


def _any_of(code: Coded) -> Coded:
    return Coded(ANY_CODE, code.system)
