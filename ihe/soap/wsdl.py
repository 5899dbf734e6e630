"""What an ordinary SOAP client needs to know of an endpoint: WSDL 1.1 with SOAP 1.2 binding, and its schemas.

A service description is made from the bindings of the transactions, so that it cannot say anything else than what is
served. The schemas are the project's own: as strict as the standards about names, order and attributes of ebRIM, open
about the inside of HL7 v3 messages (Source: ITI TF-2: Appendix W; WSDL 1.1; WS-Addressing 1.0 Metadata).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Final

from lxml import etree
from starlette.types import Receive, Scope, Send

from ihe.transaction import SoapBinding, Transaction
from ihe.xml import NS, PREFIXES, Element, parse_xml, prefix_of, qname, serialize

WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
WSDL_SOAP12: Final = "http://schemas.xmlsoap.org/wsdl/soap12/"
WSAW: Final = "http://www.w3.org/2006/05/addressing/wsdl"
WSAM: Final = "http://www.w3.org/2007/05/addressing/metadata"
XSD: Final = "http://www.w3.org/2001/XMLSchema"
SERVICE_NAMESPACE: Final = "urn:traitdunion:wsdl"
"""The standard has one namespace for each transaction; a service that offers several needs its own."""

SCHEMA_FILES: Final[Mapping[str, str]] = {
    NS.XML: "xml.xsd",
    NS.RIM: "rim.xsd",
    NS.RS: "rs.xsd",
    NS.LCM: "lcm.xsd",
    NS.QUERY: "query.xsd",
    NS.XDSB: "xdsb.xsd",
    NS.XDSI: "xdsi.xsd",
    NS.RMD: "rmd.xsd",
    NS.HL7V3: "hl7v3.xsd",
    NS.XCPD: "xcpd.xsd",
    NS.WSNT: "wsnt.xsd",
}
"""Namespace → file name of its schema."""


class UndescribedElement(Exception):
    """A binding names a body element that no schema here declares; stops the start-up."""


@dataclass(frozen=True, slots=True)
class WsdlOperation:
    """One operation of a service.

    Attributes:
        name: unique in its service, an NCName such as ``DocumentRegistry_RegistryStoredQuery``.
        binding: actions and body elements.
    """

    name: str
    binding: SoapBinding


@dataclass(frozen=True, slots=True)
class WsdlService:
    """One endpoint.

    Attributes:
        name: file name of the description, without ``.wsdl``.
        path: where the service is reached.
        operations: in the order of the description.
    """

    name: str
    path: str
    operations: tuple[WsdlOperation, ...]


def services_of(transactions: Iterable[Transaction]) -> tuple[WsdlService, ...]:
    """The services that the SOAP bindings of transactions make up, one for each path.

    Raises:
        UndescribedElement: see there.
    """
    operations: dict[str, dict[str, WsdlOperation]] = {}
    for transaction in transactions:
        for binding in transaction.bindings:
            if isinstance(binding, SoapBinding):
                name = operation_name(transaction.actor, binding.action)
                operations.setdefault(binding.path, {})[binding.action] = WsdlOperation(name, binding)
    found = tuple(
        WsdlService(path.rstrip("/").rpartition("/")[2], path, tuple(by_action.values()))
        for path, by_action in sorted(operations.items())
    )
    for service in found:
        for operation in service.operations:
            for element in (operation.binding.request_element, operation.binding.response_element):
                if element not in declared_elements():
                    raise UndescribedElement(f"{operation.binding}: no schema declares {element}")
    return found


_ACTION_ROOT = re.compile(r"^(urn:hl7-org:v3:|urn:ihe:[a-z]+:[0-9]{4}:|.*/)")


def operation_name(actor: str, action: str) -> str:
    """The name of an operation as IHE forms it: the actor, an underscore, and what is particular in the action."""
    return f"{re.sub('[^A-Za-z0-9]', '', actor)}_{re.sub('[^A-Za-z0-9_.-]', '_', _ACTION_ROOT.sub('', action))}"


@cache
def schema(file_name: str) -> bytes | None:
    """The bytes of a schema by its file name, or ``None`` when there is no such schema."""
    if file_name not in SCHEMA_FILES.values():
        return None
    return resources.files("ihe.soap").joinpath("schemas", file_name).read_bytes()


@cache
def declared_elements() -> frozenset[str]:
    """Qualified names of all elements that stand at the top of a schema here."""
    return frozenset(
        qname(namespace, str(element.get("name")))
        for namespace, file_name in SCHEMA_FILES.items()
        for element in parse_xml(schema(file_name) or b"").iterchildren(qname(XSD, "element"))
    )


def wsdl(service: WsdlService, base_url: str) -> bytes:
    """The description of a service.

    Args:
        service: what is described.
        base_url: scheme and authority as the client sees them, without trailing slash.
    """
    nsmap = {"wsdl": WSDL, "soap12": WSDL_SOAP12, "wsaw": WSAW, "wsam": WSAM, "xsd": XSD, "tns": SERVICE_NAMESPACE}
    namespaces = sorted({etree.QName(name).namespace or "" for name in _elements(service)})
    nsmap |= {prefix: PREFIXES[prefix] for prefix in map(prefix_of, namespaces)}
    root = etree.Element(qname(WSDL, "definitions"), nsmap=nsmap)
    root.set("name", service.name)
    root.set("targetNamespace", SERVICE_NAMESPACE)
    types = etree.SubElement(etree.SubElement(root, qname(WSDL, "types")), qname(XSD, "schema"))
    for namespace in namespaces:
        _add(types, XSD, "import", namespace=namespace, schemaLocation=SCHEMA_FILES[namespace])
    for operation in service.operations:
        _add_message(root, operation.name, operation.binding.request_element)
        _add_message(root, f"{operation.name}Response", operation.binding.response_element)
    _add_port_type(root, service)
    _add_binding(root, service)
    port = _add(_add(root, WSDL, "service", name=service.name), WSDL, "port", name=f"{service.name}_Port_Soap12")
    port.set("binding", f"tns:{service.name}_Binding_Soap12")
    _add(port, WSDL_SOAP12, "address", location=f"{base_url}{service.path}")
    return serialize(root, pretty=True)


def _elements(service: WsdlService) -> Iterable[str]:
    for operation in service.operations:
        yield operation.binding.request_element
        yield operation.binding.response_element


def _add(parent: Element, namespace: str, local: str, /, **attributes: str) -> Element:
    child = etree.SubElement(parent, qname(namespace, local))
    for name, value in attributes.items():
        child.set(name, value)
    return child


def _add_message(root: Element, name: str, element: str) -> None:
    qualified = etree.QName(element)
    message = _add(root, WSDL, "message", name=f"{name}_Message")
    _add(message, WSDL, "part", name="body", element=f"{prefix_of(qualified.namespace or '')}:{qualified.localname}")


def _add_port_type(root: Element, service: WsdlService) -> None:
    port_type = _add(root, WSDL, "portType", name=f"{service.name}_PortType")
    for operation in service.operations:
        added = _add(port_type, WSDL, "operation", name=operation.name)
        for direction, message, action in (
            ("input", operation.name, operation.binding.action),
            ("output", f"{operation.name}Response", operation.binding.response_action),
        ):
            ends = _add(added, WSDL, direction, message=f"tns:{message}_Message")
            ends.set(qname(WSAW, "Action"), action)
            ends.set(qname(WSAM, "Action"), action)


def _add_binding(root: Element, service: WsdlService) -> None:
    binding = _add(root, WSDL, "binding", name=f"{service.name}_Binding_Soap12", type=f"tns:{service.name}_PortType")
    _add(binding, WSDL_SOAP12, "binding", style="document", transport="http://schemas.xmlsoap.org/soap/http")
    _add(binding, WSAW, "UsingAddressing").set(qname(WSDL, "required"), "true")
    for operation in service.operations:
        added = _add(binding, WSDL, "operation", name=operation.name)
        _add(added, WSDL_SOAP12, "operation", soapAction=operation.binding.action, soapActionRequired="false")
        for direction in ("input", "output"):
            _add(_add(added, WSDL, direction), WSDL_SOAP12, "body", use="literal")


class WsdlEndpoint:
    """Serves ``<service>.wsdl`` and the schemas under one path, as an ASGI application.

    The route ends in a parameter ``name``: ``Route("/wsdl/{name}", WsdlEndpoint(services))``.
    """

    def __init__(self, services: Iterable[WsdlService]) -> None:
        self._services = {f"{service.name}.wsdl": service for service in services}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        name = str(scope.get("path_params", {}).get("name", ""))
        found = self._document(name, base_url_of(scope))
        body = b"no such description\n" if found is None else found
        headers = [
            (b"content-type", b"text/plain; charset=utf-8" if found is None else b"text/xml; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 404 if found is None else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})

    def _document(self, name: str, base_url: str) -> bytes | None:
        service = self._services.get(name)
        return schema(name) if service is None else wsdl(service, base_url)


_AUTHORITY = re.compile(r"^[A-Za-z0-9.:\[\]_-]+$")


def base_url_of(scope: Scope) -> str:
    """Scheme and authority as the client used them."""
    host = b""
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
    return _base_url(scope.get("scheme", "http"), host, tuple(scope.get("server") or ("localhost", None)))


@lru_cache(maxsize=64)
def _base_url(scheme: str, host: bytes, server: tuple[str, int | None]) -> str:
    authority = host.decode("latin-1")
    if not _AUTHORITY.match(authority):
        authority = f"{server[0]}:{server[1]}"
    return f"{scheme}://{authority}"
