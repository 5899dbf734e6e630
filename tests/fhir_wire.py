"""The FHIR wire for tests: a whole service asked over HTTP, and Patients to feed it with. Synthetic persons only."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from region.bootstrap import Service, build_service
from region.region_table import load_region
from region.server import Listening, http_app
from xds.store.content import DiskContent

REGION = Path(__file__).resolve().parents[1] / "fixtures" / "region.toml"
FR = "https://hl7.fr/ig/fhir/core/StructureDefinition"


class Client:
    """Asks an application without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://index.example") as client:
                return await client.request(method, url, **options)

        return asyncio.run(ask())

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        return self.request("PUT", url, **options)

    def delete(self, url: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", url, **options)


class FhirWire:
    """A service over a database of its own."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.client = Client(http_app(service, Listening(threads=4)))

    def oid(self, code: str) -> str:
        return str(self.service.table.by_code(code).oid)

    def token(self, code: str, value: str) -> str:
        return f"urn:oid:{self.oid(code)}|{value}"

    def identifier(self, code: str, value: str) -> dict[str, str]:
        return {"system": f"urn:oid:{self.oid(code)}", "value": value}

    def get(self, path: str, headers: dict[str, str] | None = None, **parameters: Any) -> httpx.Response:
        query = {name.replace("__", ":"): value for name, value in parameters.items()}
        return self.client.get(f"/fhir/{path}", params=query, headers=headers)

    def feed(self, code: str, value: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        resource = patient(self.oid(code), value, **more)
        return self.client.put(
            "/fhir/Patient", params={"identifier": self.token(code, value)}, json=resource, headers=headers
        )

    def found(self, **parameters: Any) -> list[str]:
        """Local ids of the records that a search finds, in order."""
        answer = self.get("Patient", **parameters)
        assert answer.status_code == 200, answer.text
        return [local_id(entry["resource"]) for entry in answer.json().get("entry", [])]


def local_id(resource: dict[str, Any]) -> str:
    return str(next(i["value"] for i in resource["identifier"] if i.get("use") == "usual"))


def wire_over(database_url: str, folder: Path, **options: Any) -> FhirWire:
    return FhirWire(build_service(database_url, load_region(REGION), DiskContent(folder), **options))


def patient(
    oid: str,
    value: str,
    *,
    family: str = "EXEMPLE",
    given: str = "MARIE",
    birth: str = "1948-03-17",
    gender: str = "female",
    place: str = "42218",
    status: str = "VALI",
    **more: Any,
) -> dict[str, Any]:
    """A Patient as a site sends it."""
    insee = {"url": f"{FR}/fr-core-address-insee-code", "valueCoding": {"code": place}}
    return {
        "resourceType": "Patient",
        "extension": [
            {
                "url": f"{FR}/fr-core-identity-reliability",
                "extension": [{"url": "identityStatus", "valueCoding": {"code": status}}],
            },
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                "valueAddress": {"extension": [insee]},
            },
        ],
        "identifier": [{"system": f"urn:oid:{oid}", "value": value}],
        "name": [{"use": "official", "family": family, "given": given.split("|")}],
        "gender": gender,
        "birthDate": birth,
        **more,
    }
