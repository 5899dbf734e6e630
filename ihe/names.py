"""Names for what is made here, messages and exchanges: unique, and no secret.

The system's own randomness takes a call of the system for each name, a fifth of what a short message takes to write.
"""

from __future__ import annotations

import os
import random
from typing import Final

_random: Final = random.Random()  # noqa: S311 - names are no secrets
os.register_at_fork(after_in_child=_random.seed)


def fresh_name() -> str:
    """32 hexadecimal digits."""
    return f"{_random.getrandbits(128):032x}"


def fresh_uuid() -> str:
    """A random UUID (Source: RFC 9562: 5.4)."""
    digits = f"{_random.getrandbits(128) & _FREE | _VERSION_4:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_VERSION_4: Final = 4 << 76 | 2 << 62
_FREE: Final = ~(15 << 76 | 3 << 62)
