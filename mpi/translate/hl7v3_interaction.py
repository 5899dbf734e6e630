"""HL7 v3 interactions, read once: their wrapper, and the query that they hold.

Reading finds fault with nothing, for a message that is refused is answered too; what must be there is asked for by
:func:`control_act` and :func:`parameter_list`.

Source: HL7 v3 MCCI_MT100001UV01, QUQI_MT021001UV01; ITI TF-2: Appendix O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ihe.errors import InvalidElement, MissingElement
from ihe.xml import Element, local_name
from mpi.translate.hl7v3_elements import first, first_children, hl7, location, stated

QUERY: Final = "controlActProcess/queryByParameter"
"""Where a query stands."""

QUERY_ID: Final = hl7("queryId")
PARAMETERS: Final = hl7("parameterList")

_ID: Final = hl7("id")
_INTERACTION: Final = hl7("interactionId")
_PROCESSING: Final = hl7("processingCode")
_SENDER: Final = hl7("sender")
_RECEIVER: Final = hl7("receiver")
_AGENT: Final = hl7("asAgent")
_CONTROL_ACT: Final = hl7("controlActProcess")

Parts = Mapping[str, Element]
"""The first child of each qualified name."""


class Device(NamedTuple):
    """A sender or receiver.

    Attributes:
        id: of the device.
        organization: id of whom it acts for.
        known_id: ``id``; where several devices are named and the first has none, that of the next.
    """

    id: Element | None
    organization: Element | None
    known_id: Element | None


class Interaction(NamedTuple):
    """What a message says of itself: whatever is absent or null is ``None``.

    Attributes:
        name: of the message's element.
        id: of the message.
        interaction_id: extension of the interaction id.
        processing: processing code.
        control_acts: one, where the message is in order.
        query: of the first control act.
        parts: of the query.
    """

    name: str
    id: Element | None
    interaction_id: str | None
    processing: str | None
    sender: Device
    receiver: Device
    control_acts: Sequence[Element]
    query: Element | None
    parts: Parts


def read_interaction(message: Element) -> Interaction:
    """Read a message, complete or not."""
    parts: dict[str, Element] = {}
    acts: list[Element] = []
    for part in message:
        if part.get("nullFlavor") is None:
            if (tag := part.tag) == _CONTROL_ACT:
                acts.append(part)
            elif tag not in parts:
                parts[tag] = part
    query = first(acts[0], "queryByParameter") if acts else None
    return Interaction(
        local_name(message),
        parts.get(_ID),
        stated(parts.get(_INTERACTION), "extension"),
        stated(parts.get(_PROCESSING), "code"),
        _device(message, parts.get(_SENDER), "sender/device"),
        _device(message, parts.get(_RECEIVER), "receiver/device"),
        acts,
        query,
        first_children(query) if query is not None else {},
    )


def _device(message: Element, role: Element | None, path: str) -> Device:
    device = first(role, "device")
    if device is None:
        device = first(message, path)
        if device is None:
            return Device(None, None, None)
    parts = first_children(device)
    own = parts.get(_ID)
    return Device(
        own,
        first(device, "asAgent/representedOrganization/id") if _AGENT in parts else None,
        own if own is not None else first(message, f"{path}/id"),
    )


def control_act(interaction: Interaction) -> Element:
    """The control act of a message whose wrapper is complete.

    Raises:
        MissingElement: the wrapper lacks its id, sender, receiver or control act.
        InvalidElement: the interaction id names another interaction, or there is more than one control act.
    """
    name, acts = interaction.name, interaction.control_acts
    for path, found in (
        ("id", interaction.id),
        ("sender/device/id", interaction.sender.known_id),
        ("receiver/device/id", interaction.receiver.known_id),
    ):
        if stated(found, "root") is None:
            raise MissingElement("the wrapper of the message is not complete", location(name, path))
    if interaction.interaction_id is not None and interaction.interaction_id != name.removesuffix("_Cancel"):
        raise InvalidElement("the interaction id names another interaction", location(name, "interactionId"))
    if not acts:
        raise MissingElement("the message has no control act", location(name, "controlActProcess"))
    if len(acts) > 1:
        raise InvalidElement("the message has more than one control act", location(name, "controlActProcess[2]"))
    return acts[0]


def parameter_list(interaction: Interaction) -> Element:
    """The parameters of a query that has what every one must have.

    Raises:
        MissingElement: there is no query, or it has no id or no list of parameters.
        InvalidElement: the wrapper is wrong.
    """
    control_act(interaction)
    if interaction.query is None:
        raise MissingElement("the message has no query", location(interaction.name, QUERY))
    if stated(interaction.parts.get(QUERY_ID), "root") is None:
        raise MissingElement("the query has no id", location(interaction.name, QUERY, "queryId"))
    parameters = interaction.parts.get(PARAMETERS)
    if parameters is None:
        raise MissingElement("the query has no parameters", location(interaction.name, QUERY, "parameterList"))
    return parameters


def parameter_location(interaction: Interaction, parameter: str, position: int = 1, rest: str = "value") -> str:
    """The XPath of a query parameter, as the profiles have it in refusals (Source: ITI TF-2: 3.45.4.2.3)."""
    return f"/{interaction.name}/{QUERY}/parameterList/{parameter}[{position}]/{rest}"
