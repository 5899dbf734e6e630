"""Writes ``docs/conformance.md`` from the TRANSACTION records: ``python -m region.conformance``."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ihe.transaction import Endpoint, discover

_HEAD = """# Conformance

What this service supports of the IHE profiles. Made from the transaction files; do not edit, run
`python -m region.conformance > docs/conformance.md`.

Every SOAP action is offered by synchronous and by asynchronous Web services exchange (ITI TF-2: V.5).

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
