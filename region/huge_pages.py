"""The memory of a serving process in huge pages.

An answer touches some hundred pages of 4 KiB, of objects most of which live as long as the process. Between two answers
other processes have had the processor, and the addresses of all these pages are looked up anew: on a virtual machine,
through two tables each. In pages of 2 MiB there are a few dozen.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path
from typing import Final

_SIZE: Final = 2 * 1024 * 1024
_HUGEPAGE: Final = 14
"""``MADV_HUGEPAGE``: the system may use huge pages, now or later (Source: Linux madvise(2))."""
_COLLAPSE: Final = 25
"""``MADV_COLLAPSE``, of Linux 6.1: it shall do so now."""


def use_huge_pages() -> None:
    """Ask the system for huge pages under the objects of this process; where it has none, all stays as it is."""
    with suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None).madvise
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            addresses, rights, _offset, _device, _inode, *path = line.split(maxsplit=5)
            if rights != "rw-p" or path not in ([], ["[heap]"]):
                continue
            begin, end = (int(each, 16) for each in addresses.split("-"))
            begin, end = -(-begin // _SIZE) * _SIZE, end // _SIZE * _SIZE
            if begin < end:
                for advice in (_HUGEPAGE, _COLLAPSE):
                    madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), ctypes.c_int(advice))
