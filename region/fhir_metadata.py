"""``GET /fhir/metadata``: the CapabilityStatement, made from the transactions in service, so that it states just those.

Source: FHIR R4: 3.1.0.9 (capabilities); ITI TF-1: 41 (PIXm), 38 (PDQm).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import orjson

from ihe.errors import NotFound
from ihe.fhir.formats import answer_format, render
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import Endpoint, HttpBinding, Transaction
from region.issuers import AuthorizationServer
from region.users import load_scopes

_OPERATIONS = {
    "generate-metadata": "https://profiles.ihe.net/ITI/MHD/OperationDefinition/generate-metadata",
    "ihe-pix": "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix",
    "match": "http://hl7.org/fhir/OperationDefinition/Patient-match",
    "process-message": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
}
_PROFILES = {
    "Patient": (
        "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient",
        "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-ins",
        "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient",
    ),
    "Subscription": ("https://profiles.ihe.net/ITI/PMIR/StructureDefinition/IHE.PMIR.Subscription",),
}
SMART_CONFIGURATION: Final = "/fhir/.well-known/smart-configuration"
_OAUTH_URIS: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY_SERVICE: Final = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_SECURITY: Final = (
    "Mutual TLS of known systems (ITI-19). Users by bearer tokens of the authorization servers stated (IUA, ITI-72),"
    " which this server does not issue; a token that names a certificate counts with that certificate only."
)
Servers = Callable[[], Sequence[AuthorizationServer]]
"""Where clients get tokens, at present."""
_DATE = "2026-11-24"


def capability_statement(
    endpoints: Iterable[Endpoint], base_url: str, servers: Sequence[AuthorizationServer] = ()
) -> dict[str, Any]:
    """The resource.

    Args:
        servers: where clients get tokens.
    """
    interactions: dict[str, set[str]] = defaultdict(set)
    parameters: dict[str, dict[str, str]] = defaultdict(dict)
    operations: dict[str, set[str]] = defaultdict(set)
    conditional: dict[str, set[str]] = defaultdict(set)
    for endpoint in endpoints:
        for binding in endpoint.transaction.bindings:
            if isinstance(binding, HttpBinding) and binding.interaction and binding.path.startswith("/fhir"):
                resource = binding.path.removeprefix("/fhir").strip("/").partition("/")[0]
                kind, _, name = binding.interaction.partition(":")
                if kind == "operation":
                    operations[resource if resource[:1].isupper() else ""].add(name)
                else:
                    interactions[resource].add(kind)
                    if kind in ("update", "delete") and "{" not in binding.path:
                        conditional[resource].add(kind)
                parameters[resource].update(dict(binding.search_parameters))
    rest: dict[str, Any] = {"mode": "server", "security": _security(servers)}
    rest["resource"] = [
        _resource(name, interactions[name], parameters[name], operations.get(name, set()), conditional[name])
        for name in sorted(set(interactions) | set(operations))
        if name
    ]
    if interactions.get(""):
        rest["interaction"] = [{"code": code} for code in sorted(interactions[""])]
    if operations.get(""):
        rest["operation"] = _operations(operations[""])
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "software": {"name": "Trait d'Union"},
        "implementation": {"description": "Regional master patient index and registry", "url": f"{base_url}/fhir"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml"],
        "rest": [rest],
    }


def _security(servers: Sequence[AuthorizationServer]) -> dict[str, Any]:
    """Source: FHIR R4: 5.2 (CapabilityStatement.rest.security); IHE IUA: 34.4 (SMART on FHIR extension of URIs)."""
    found: dict[str, Any] = {"cors": False, "description": _SECURITY}
    services = ["Certificates", *(["OAuth", "SMART-on-FHIR"] if servers else [])]
    found["service"] = [{"coding": [{"system": _SECURITY_SERVICE, "code": code}]} for code in services]
    extensions = [
        {
            "url": _OAUTH_URIS,
            "extension": [
                {"url": name, "valueUri": address}
                for name, address in (("authorize", server.authorize), ("token", server.token))
                if address
            ],
        }
        for server in servers
        if server.authorize or server.token
    ]
    return {"extension": extensions, **found} if extensions else found


def smart_configuration(servers: Sequence[AuthorizationServer]) -> dict[str, Any]:
    """What a client of tokens must know (Source: SMART App Launch 2.2: .well-known/smart-configuration).

    Raises:
        NotFound: no tokens are believed here.
    """
    if not servers:
        raise NotFound("no authorization server is known here")
    first = servers[0]
    addresses = {"authorization_endpoint": first.authorize, "token_endpoint": first.token}
    scopes = load_scopes()
    return {
        "issuer": first.issuer,
        **{name: address for name, address in addresses.items() if address},
        "authorization_servers": [server.issuer for server in servers],
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": [
            *sorted({each.transaction for each in scopes}),
            *sorted({f"user/{each.resource}.{''.join(sorted(each.actions))}" for each in scopes}),
        ],
        "capabilities": ["permission-user", "permission-v1", "permission-v2"],
        "tls_client_certificate_bound_access_tokens": True,
    }


def _resource(
    name: str, interactions: set[str], parameters: dict[str, str], operations: set[str], conditional: set[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {"type": name}
    if name in _PROFILES:
        found["supportedProfile"] = list(_PROFILES[name])
    if interactions:
        found["interaction"] = [{"code": code} for code in sorted(interactions)]
    if interactions & {"read", "update"}:
        found["versioning"] = "versioned"
    if "update" in conditional:
        found["conditionalUpdate"] = True
    if "delete" in conditional:
        found["conditionalDelete"] = "single"
    if parameters:
        found["searchParam"] = [{"name": n, "type": t} for n, t in sorted(parameters.items())]
    if operations:
        found["operation"] = _operations(operations)
    return found


def _operations(names: set[str]) -> list[dict[str, str]]:
    return [{"name": name, "definition": _OPERATIONS[name]} for name in sorted(names)]


def smart_configuration_endpoint(servers: Servers) -> Endpoint:
    """The interaction, for the pipeline."""
    transaction = Transaction(
        number="TDU-10",
        name="Authorization of clients",
        actor="Resource Server",
        profile="IUA",
        bindings=(HttpBinding("GET", SMART_CONFIGURATION),),
        writes=False,
        event_code="110112",
        event_action="R",
    )
    return Endpoint(
        transaction,
        lambda request: None,
        lambda _none, _context: smart_configuration(servers()),
        lambda found, _request: HttpReply(200, "application/json", orjson.dumps(found)),
        None,
        "web.fhir_metadata",
    )


def metadata_endpoint(endpoints: Iterable[Endpoint], servers: Servers = tuple) -> Endpoint:
    """The interaction, for the pipeline."""
    known = tuple(endpoints)
    transaction = Transaction(
        number="TDU-9",
        name="Capabilities",
        actor="Server",
        profile="FHIR",
        bindings=(HttpBinding("GET", "/fhir/metadata"),),
        writes=False,
        event_code="110112",
        event_action="R",
    )

    def decode(request: HttpRequest) -> str:
        answer_format(request)
        return request.base_url

    def serve(base_url: str, context: Context[Any]) -> dict[str, Any]:
        return capability_statement(known, base_url, servers())

    def encode(resource: dict[str, Any], request: HttpRequest) -> HttpReply:
        media_type = answer_format(request)
        return HttpReply(200, media_type, render(resource, media_type))

    return Endpoint(transaction, decode, serve, encode, None, "web.fhir_metadata")
