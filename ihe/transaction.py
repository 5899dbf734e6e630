"""What a transaction file says of itself, and how the files are found.

One file holds one IHE transaction: ``mpi/transactions/iti9_pix_query.py``. It exposes

* ``TRANSACTION``, a :class:`Transaction`;
* ``decode(request)``: wire → question, pure;
* ``serve(question, context)``: the service call, the only step with a database;
* ``encode(result, request)``: result → wire, pure;
* optionally ``refuse(error, request)`` where the transaction's own error form differs from its wire's;
* optionally ``claims(request)``, whether a request on a binding that another transaction has too is this one's; one of
  those that share a binding makes no claim and gets what nobody claims.

A transaction that is only sent from here (:class:`OutboundBinding`) has no ``serve``: its ``encode`` writes the message
and its ``decode`` reads the answer; the services that send it call them.

Adding a file adds the transaction; no other file is edited. A file with another name, without these parts, or with a
binding that another file already has stops the start-up.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ihe.errors import UnsupportedRequest

_FILE_NAME = re.compile(r"^(?P<domain>iti|rad)(?P<number>[1-9][0-9]*)_[a-z][a-z0-9_]*$")


class TransactionFault(Exception):
    """A transaction file that cannot be taken into service; stops the start-up."""


@dataclass(frozen=True, slots=True)
class Hl7v2Binding:
    """An HL7 v2 message on the MLLP listener.

    Attributes:
        message_code: MSH-9.1.
        trigger_event: MSH-9.2.
        versions: prefixes of MSH-12.1 that select this transaction.
    """

    message_code: str
    trigger_event: str
    versions: tuple[str, ...] = ("2.5",)

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """What makes the binding unique on its listener."""
        return tuple(("hl7v2", self.message_code, self.trigger_event, version) for version in self.versions)

    def __str__(self) -> str:
        return f"MLLP {self.message_code}^{self.trigger_event} (v{', v'.join(self.versions)})"


@dataclass(frozen=True, slots=True)
class SoapBinding:
    """A SOAP 1.2 action on one path.

    Attributes:
        path: for example ``/ihe/registry``.
        action: ``wsa:Action`` of the request.
        response_action: ``wsa:Action`` of the answer.
        request_element: qualified name ``{namespace}local`` of the request's body element.
        response_element: qualified name of the answer's body element.
        mtom: whether the answer is sent as MTOM/XOP.
    """

    path: str
    action: str
    response_action: str
    request_element: str
    response_element: str
    mtom: bool = False

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """What makes the binding unique on its listener."""
        return (("soap", self.path, self.action),)

    def __str__(self) -> str:
        return f"SOAP {self.path} {self.action}"


@dataclass(frozen=True, slots=True)
class HttpBinding:
    """A plain HTTP interaction (FHIR, DICOMweb, JSON).

    Attributes:
        method: ``GET``, ``POST``…
        path: template with ``{names}``, for example ``/fhir/Patient/{id}``.
        interaction: for FHIR, as a CapabilityStatement names it: ``read``, ``search-type``, ``update``…, or
            ``operation:<name>``; empty elsewhere.
        search_parameters: for a search, name and FHIR type of each.
        result_parameters: of the query as well, but not criteria; name and type of each.
        body: type of the FHIR resource that is sent, or ``form``; empty when nothing is.
        max_body_bytes: the largest request where documents travel inside it; ``None`` for the service's usual bound.
    """

    method: str
    path: str
    interaction: str = ""
    search_parameters: tuple[tuple[str, str], ...] = ()
    result_parameters: tuple[tuple[str, str], ...] = ()
    body: str = ""
    max_body_bytes: int | None = None

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """What makes the binding unique on its listener."""
        return (("http", self.method, re.sub(r"\{[^}]*\}", "{}", self.path)),)

    def __str__(self) -> str:
        return f"HTTP {self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class OutboundBinding:
    """A message that this service sends to others.

    Attributes:
        wire: ``MLLP``, ``SOAP`` or ``HTTP``.
        description: what is sent and to whom, for the conformance page.
    """

    wire: str
    description: str

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """None: nobody listens for it here."""
        return ()

    def __str__(self) -> str:
        return f"sent by {self.wire}: {self.description}"


Binding = Hl7v2Binding | SoapBinding | HttpBinding | OutboundBinding


@dataclass(frozen=True, slots=True)
class Transaction:
    """The record of one IHE transaction, from which documentation, routing and audit are made.

    Attributes:
        number: ``ITI-9``, ``RAD-69``.
        name: the standard's name.
        actor: the IHE actor this service plays.
        profile: the IHE profile.
        bindings: where it is reached, or what is sent; at least one.
        writes: whether it may change state; such a transaction is idempotent by sender and control id on HL7 v2.
        event_code: audit event identifier of DICOM PS3.15 (``110112`` Query, ``110110`` Patient Record,
            ``110106`` Export, ``110107`` Import).
        event_action: ``C``, ``R``, ``U``, ``D`` or ``E``.
        options: options of the profile that are supported, and notes, for the conformance page.
        source: section of the Technical Framework.
        waits: whether the answer waits for systems elsewhere: it is served by threads apart, so that a slow one keeps
            nobody from what is answered from here.
        is_brief: whether it reads by single statements alone and answers little, as a rule: it is served in the event
            loop (:mod:`ihe.fibers`), and in a thread when it turns out otherwise.
    """

    number: str
    name: str
    actor: str
    profile: str
    bindings: tuple[Binding, ...]
    writes: bool
    event_code: str
    event_action: str
    options: tuple[str, ...] = ()
    source: str = ""
    waits: bool = False
    is_brief: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A transaction in service: its record and its steps."""

    transaction: Transaction
    decode: Callable[[Any], Any]
    serve: Callable[[Any, Any], Any]
    encode: Callable[[Any, Any], Any]
    refuse: Callable[[Any, Any], Any] | None
    module: str
    claims: Callable[[Any], bool] | None = None


def discover(*packages: str) -> tuple[Endpoint, ...]:
    """Import every transaction file of the named packages, ordered by domain, number and name.

    Raises:
        TransactionFault: a misnamed or broken file, or two files with one binding.
    """
    endpoints = [
        _endpoint(f"{package}.{info.name}", info.name)
        for package in packages
        for info in pkgutil.iter_modules(importlib.import_module(package).__path__)
    ]
    refuse_shared_bindings(endpoints)
    return tuple(sorted(endpoints, key=lambda e: _order(e.transaction.number, e.module)))


def refuse_shared_bindings(endpoints: Iterable[Endpoint]) -> None:
    """Refuse two transactions with one binding on one listener, unless one of them claims its requests.

    Raises:
        TransactionFault: names both files and the binding.
    """
    taken: dict[tuple[str, ...], str] = {}
    for endpoint in endpoints:
        for binding in endpoint.transaction.bindings:
            for key in binding.keys if endpoint.claims is None else ():
                other = taken.setdefault(key, endpoint.module)
                if other != endpoint.module:
                    raise TransactionFault(f"{endpoint.module} and {other} both bind {' '.join(key)}")


def refuse_lone_claims(endpoints: Sequence[Endpoint]) -> None:
    """Refuse a transaction that claims requests on a binding which no other has: nobody would hand them to it.

    Raises:
        TransactionFault: names the file and the binding.
    """
    held = {key for each in endpoints if each.claims is None for b in each.transaction.bindings for key in b.keys}
    for endpoint in endpoints:
        keys = {key for binding in endpoint.transaction.bindings for key in binding.keys}
        if endpoint.claims is not None and (alone := keys.difference(held)):
            raise TransactionFault(f"{endpoint.module} claims {' '.join(min(alone))}, which no other transaction binds")


def _order(number: str, module: str) -> tuple[str, int, str]:
    domain, digits = number.split("-")
    return domain, int(digits), module


def _endpoint(module_name: str, file_name: str) -> Endpoint:
    named = _FILE_NAME.match(file_name)
    if not named:
        raise TransactionFault(f"{module_name}: a transaction file is named (iti|rad)<number>_<name>.py")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise TransactionFault(f"{module_name}: cannot be imported ({type(error).__name__}: {error})") from error
    return endpoint_of(module, f"{named['domain'].upper()}-{named['number']}")


def endpoint_of(module: ModuleType, number: str) -> Endpoint:
    """Read the parts of a transaction file.

    Raises:
        TransactionFault: a part is missing, or the record's number is not the file's.
    """
    transaction = getattr(module, "TRANSACTION", None)
    if not isinstance(transaction, Transaction):
        raise TransactionFault(f"{module.__name__}: TRANSACTION is missing")
    if transaction.number != number:
        raise TransactionFault(f"{module.__name__}: TRANSACTION says {transaction.number}, the file says {number}")
    if not transaction.bindings:
        raise TransactionFault(f"{module.__name__}: TRANSACTION has no binding")
    is_sent = all(isinstance(binding, OutboundBinding) for binding in transaction.bindings)
    steps: dict[str, Callable[..., Any]] = {"serve": _only_sent}
    for name in ("decode", "encode") if is_sent else ("decode", "serve", "encode"):
        step = getattr(module, name, None)
        if not callable(step):
            raise TransactionFault(f"{module.__name__}: {name}() is missing")
        steps[name] = step
    refuse = getattr(module, "refuse", None)
    claims = getattr(module, "claims", None)
    return Endpoint(transaction, steps["decode"], steps["serve"], steps["encode"], refuse, module.__name__, claims)


def _only_sent(_question: Any, _context: Any) -> Any:
    raise UnsupportedRequest("this transaction is sent from here, not received")
