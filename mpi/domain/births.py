"""Birth dates of many pairs at once: the same readings as for one pair, over :class:`mpi.domain.columns.Columns`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpi.domain.gates import Bools, Ints
from mpi.domain.levels import Birth

if TYPE_CHECKING:
    from mpi.domain.columns import Columns


def birth_levels(columns: Columns, left: Ints, right: Ints) -> Ints:
    """The levels of :func:`mpi.domain.comparison.compare_birth`."""
    year_a, month_a, day_a = columns.year[left], columns.month[left], columns.day[left]
    year_b, month_b, day_b = columns.year[right], columns.month[right], columns.day[right]
    default_a, default_b = columns.default[left], columns.default[right]
    level = np.full(len(left), int(Birth.DIFFERENT), dtype=np.int64)
    same_year, same_month, same_day = year_a == year_b, month_a == month_b, day_a == day_b
    days_known = (day_a > 0) & (day_b > 0)
    both_default, any_default = default_a & default_b, default_a | default_b
    two_parts = same_year.astype(int) + same_month + same_day == 2
    level[days_known & two_parts & ~any_default & (np.abs(year_a - year_b) <= 10)] = Birth.TWO_PARTS
    full_a, full_b = year_a * 10000 + month_a * 100 + day_a, year_b * 10000 + month_b * 100 + day_b
    level[days_known & _one_digit(full_a, full_b) & ~both_default] = Birth.ONE_DIGIT
    level[days_known & (np.abs(year_a - year_b) == 100) & same_month & same_day] = Birth.CENTURY
    # Within one year the last assignment wins, so the order runs from the weakest reading to the strongest.
    level[same_year & (day_a == month_b) & (month_a == day_b) & days_known] = Birth.SWAPPED
    level[same_year & days_known & any_default] = Birth.DEFAULT_YEAR
    partly = same_year & ~days_known
    level[partly] = np.where(same_month[partly], Birth.SAME_MONTH, Birth.DIFFERENT)
    level[same_year & ((month_a == 0) | (month_b == 0))] = Birth.SAME_YEAR
    same = same_year & same_month & same_day & (day_a > 0)
    made_up = columns.interpreted[left] | columns.interpreted[right]
    native = (columns.native[left] | columns.native[right]) & ~made_up
    level[same] = np.where((default_a & default_b & ~native)[same], Birth.SAME_DEFAULT, Birth.SAME)
    level[(year_a == 0) | (year_b == 0)] = Birth.MISSING
    return level


def _one_digit(one: Ints, other: Ints) -> Bools:
    """Whether numbers of eight digits differ in one digit or in two neighbours that changed places."""
    differing = np.zeros(len(one), dtype=np.int64)
    swapped = np.zeros(len(one), dtype=bool)
    digits = [((one // 10**place) % 10, (other // 10**place) % 10) for place in range(8)]
    for place, (a, b) in enumerate(digits):
        differing += a != b
        if place:
            previous_a, previous_b = digits[place - 1]
            swapped |= (a == previous_b) & (previous_a == b) & (a != b)
    near: Bools = (differing == 1) | ((differing == 2) & swapped)
    return near


def years_exchanged(columns: Columns, left: Ints, right: Ints) -> Bools:
    """Whether the birth dates differ in the order of the last two digits of the year alone."""
    year_a, year_b = columns.year[left], columns.year[right]
    exchanged: Bools = (
        (columns.month[left] == columns.month[right])
        & (columns.day[left] == columns.day[right])
        & (columns.day[left] > 0)
        & (year_a != year_b)
        & (year_a // 100 == year_b // 100)
        & (year_a // 10 % 10 == year_b % 10)
        & (year_a % 10 == year_b // 10 % 10)
    )
    return exchanged
