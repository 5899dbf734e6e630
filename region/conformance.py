"""Writes ``docs/conformance.md`` from the TRANSACTION records: ``python -m region.conformance``."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ihe.transaction import Endpoint, discover

_HEAD = """# Conformance

What this service supports of the IHE profiles. Made from the transaction files; do not edit, run
`python -m region.conformance > docs/conformance.md`.

Every SOAP action is offered by synchronous and by asynchronous Web services exchange (ITI TF-2: V.5).

Who calls is known on every wire:

| transaction | name | actor | profile | options |
|---|---|---|---|---|
| ITI-19 | Authenticate Node | Secure Node | ATNA | STX: TLS 1.2 Floor using BCP195 |
| ITI-40 | Provide X-User Assertion | X-Service Provider | XUA | Subject-Role, PurposeOfUse; \
Authz-Consent is taken and not used; French VIHF; bearer and holder of key |
| ITI-72 | Incorporate Access Token | Resource Server | IUA | JWT Access Token, Token Introspection; not SAML Token |

Tokens are given by an authorization server of the region or by Pro Santé Connect (ITI-71 and ITI-103 are theirs).
HL7 v2 names no user: its sender (MSH-3, MSH-4) is bound to the node.

| transaction | name | actor | profile | file |
|---|---|---|---|---|
"""


def render(endpoints: Iterable[Endpoint]) -> str:
    """The page."""
    known = list(endpoints)
    rows = [
        f"| {e.transaction.number} | {e.transaction.name} | {e.transaction.actor} | {e.transaction.profile} "
        f"| `{e.module.replace('.', '/')}.py` |\n"
        for e in known
    ]
    return _HEAD + "".join(rows) + "".join(map(_section, known))


def _section(endpoint: Endpoint) -> str:
    transaction = endpoint.transaction
    lines = [f"\n## {transaction.number} {transaction.name}\n\n"]
    if transaction.source:
        lines.append(f"Source: {transaction.source}. ")
    lines.append(f"Audit event {transaction.event_code}, action {transaction.event_action}.\n\n")
    lines += [f"- {binding}\n" for binding in transaction.bindings]
    lines += [f"- option: {option}\n" for option in transaction.options]
    return "".join(lines)


def page() -> str:
    """The page of this version."""
    return render(discover("mpi.transactions", "xds.transactions"))


if __name__ == "__main__":
    sys.stdout.write(page())
