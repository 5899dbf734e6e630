"""Which pairs of spellings are worth comparing: cheap tests that never leave out a pair that agrees in any way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.process import cpdist

from mpi.domain.names_fr import joined

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_BLOOM_WORDS = 8


@lru_cache(maxsize=1 << 16)
def _bit(word: str) -> int:
    """One of the bits of a Bloom filter, by a small stable hash (FNV-1a): equal words have equal ones."""
    value = 0xCBF29CE484222325
    for letter in word:
        value = ((value ^ ord(letter)) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return 1 << (value >> 20) % (64 * _BLOOM_WORDS)


def _bloom(words: Iterable[str]) -> int:
    found = 0
    for word in words:
        found |= _bit(word)
    return found


class Gate:
    """Says which pairs of entries may agree in any way; never leaves out one that does.

    Args:
        entries: the names of each distinct entry, none to a few.
        traces: words of a name, equal where two names may agree other than by edits.
        listed: further words of each entry that two entries may have in common, or ``None``.
        jaro_winkler: whether a high Jaro–Winkler similarity counts, too.
    """

    def __init__(
        self,
        entries: Sequence[tuple[str, ...]],
        traces: Callable[[str], set[str]],
        listed: Sequence[Sequence[str]] | None = None,
        *,
        jaro_winkler: bool,
    ) -> None:
        self.jaro_winkler = jaro_winkler
        self.always = np.zeros(len(entries), dtype=bool)
        width = max((len(names) for names in entries), default=0) or 1
        self.names = np.full((len(entries), width), "", dtype=object)
        self.letters = np.zeros((len(entries), width), dtype=np.uint32)
        self.lengths = np.zeros((len(entries), width), dtype=np.int64)
        described: dict[str, tuple[str, int, int]] = {}
        blooms = bytearray()
        for index, names in enumerate(entries):
            bloom = _bloom(listed[index]) if listed is not None else 0
            for position, name in enumerate(names):
                if name not in described:
                    whole = joined(name)
                    described[name] = whole, sum(1 << (ord(letter) - 65) for letter in set(whole)), _bloom(traces(name))
                whole, letters, traced = described[name]
                self.names[index, position] = whole
                self.letters[index, position] = letters
                self.lengths[index, position] = len(whole)
                bloom |= traced
            blooms += bloom.to_bytes(8 * _BLOOM_WORDS, "little")
        self.blooms: NDArray[np.uint64] = np.frombuffer(bytes(blooms), dtype="<u8").reshape(len(entries), _BLOOM_WORDS)

    def passes(self, left: Ints, right: Ints) -> Bools:
        """Whether each pair of entries is worth comparing."""
        passed: Bools = (self.blooms[left] & self.blooms[right]).any(axis=1) | self.always[left] | self.always[right]
        width = self.names.shape[1]
        for i in range(width):
            for j in range(width):
                open_pairs = np.flatnonzero(~passed & (self.lengths[left, i] > 0) & (self.lengths[right, j] > 0))
                if not open_pairs.size:
                    continue
                one, other = left[open_pairs], right[open_pairs]
                differing = np.bitwise_count(self.letters[one, i] ^ self.letters[other, j])
                longest = np.maximum(self.lengths[one, i], self.lengths[other, j])
                near = differing <= (np.maximum(4, 0.4 * longest) if self.jaro_winkler else 4)
                open_pairs, one, other = open_pairs[near], one[near], other[near]
                if not open_pairs.size:
                    continue
                texts = (self.names[one, i], self.names[other, j])
                alike = cpdist(*texts, scorer=OSA.distance, score_cutoff=2, dtype=np.uint8) <= 2
                if self.jaro_winkler:
                    alike |= cpdist(*texts, scorer=JaroWinkler.similarity, score_cutoff=0.9, dtype=np.float32) >= 0.9
                passed[open_pairs[alike]] = True
        return passed
