"""ZFA ⇄ what a patient says of the sharing of data.

Source: PAM France 2.11, ZFA-9 to ZFA-12.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ihe.errors import InvalidElement
from ihe.hl7v2.er7 import NULL, Message, Segment
from ihe.values import parse_dtm
from mpi.domain.consent import Stance, Statement, Subject

FEEDING: Final = {"INO": Stance.AGREES, "IO": Stance.OPPOSES, "NA": Stance.UNKNOWN}
"""ZFA-9: informed and not opposed, informed and opposed, not collected."""
CONSULTATION: Final = {"IC": Stance.AGREES, "INC": Stance.OPPOSES, "NA": Stance.UNKNOWN}
"""ZFA-11: informed and consents, informed and does not, not collected."""
_FIELDS: Final = ((9, Subject.FEEDING, FEEDING), (11, Subject.CONSULTATION, CONSULTATION))


def statements(message: Message) -> tuple[Statement, ...]:
    """What ZFA states; an empty field states nothing.

    Raises:
        InvalidElement: a value is none of the table: an opposition must not be lost to a slip of the pen.
    """
    zfa = message.segment("ZFA")
    if zfa is None:
        return ()
    found = []
    for field, subject, stances in _FIELDS:
        value = zfa.text(field).strip()
        if value and value != NULL:
            if value not in stances:
                raise InvalidElement(f"the value is none of {', '.join(stances)}", f"ZFA-{field}")
            found.append(Statement(subject, stances[value], _moment(zfa, field + 1)))
    return tuple(found)


def _moment(zfa: Segment, field: int) -> datetime | None:
    text = zfa.text(field)
    try:
        return parse_dtm(text) if text and text != NULL else None
    except ValueError:
        return None
