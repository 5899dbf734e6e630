"""Resources that clients send, JSON or XML, held against the R4 model before anything looks at them.

Source: FHIR R4: 2.6.1, 2.6.2, 3.1.0.1.10 (content types).
"""

from __future__ import annotations

from typing import Any

import orjson
from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from ihe.errors import InvalidElement, MalformedRequest, UnsupportedMediaType
from ihe.http import HttpRequest
from ihe.xml import parse_xml, serialize

_JSON = ("application/fhir+json", "application/json", "text/json")
_XML = ("application/fhir+xml", "application/xml", "text/xml")


def read_resource(request: HttpRequest, resource_type: str) -> dict[str, Any]:
    """The body as the JSON structure of a valid resource.

    Args:
        resource_type: what it must be.

    Raises:
        UnsupportedMediaType: neither JSON nor XML.
        MalformedRequest: not readable, or another resource.
        InvalidElement: not valid by the R4 model; the location is a FHIRPath, the message holds no value.
    """
    media_type = request.headers.get("content-type", "application/fhir+json").partition(";")[0].strip().lower()
    if media_type in _JSON:
        return read_json(request.body, resource_type)
    if media_type in _XML:
        return _read_xml(request.body, resource_type)
    raise UnsupportedMediaType("a resource is sent as application/fhir+json or application/fhir+xml", "Content-Type")


def read_json(body: bytes, resource_type: str) -> dict[str, Any]:
    """A resource from JSON; see :func:`read_resource`."""
    try:
        content = orjson.loads(body)
    except ValueError as error:
        raise MalformedRequest("the body is not JSON") from error
    return valid(content, resource_type)


def valid(content: Any, resource_type: str) -> dict[str, Any]:
    """The same content, when it is a valid resource of that type; see :func:`read_resource`."""
    if not isinstance(content, dict) or content.get("resourceType") != resource_type:
        raise MalformedRequest(f"the body is not a {resource_type}")
    model = get_fhir_model_class(resource_type)
    try:
        model.model_validate(content)
    except ValidationError as error:
        raise _invalid(error, resource_type) from None
    except Exception as error:  # the model raises whatever it stumbles over, as KeyError for an unknown type within
        raise MalformedRequest(f"the body is not a valid {resource_type}") from error
    return content


def _read_xml(body: bytes, resource_type: str) -> dict[str, Any]:
    root = parse_xml(body)
    if not str(root.tag).endswith("}" + resource_type):
        raise MalformedRequest(f"the body is not a {resource_type}")
    model = get_fhir_model_class(resource_type)
    try:
        resource = model.model_validate_xml(serialize(root))
    except ValidationError as error:
        raise _invalid(error, resource_type) from None
    except Exception as error:  # the XML reader of the model raises whatever it stumbles over
        raise MalformedRequest(f"the body is not a valid {resource_type}") from error
    content: dict[str, Any] = orjson.loads(resource.model_dump_json())
    return content


def _invalid(error: ValidationError, resource_type: str) -> InvalidElement:
    first = error.errors(include_input=False, include_url=False)[0]
    path = ".".join([resource_type, *(str(part) for part in first["loc"])])
    return InvalidElement(f"{path} is not valid ({first['type']})", path)
