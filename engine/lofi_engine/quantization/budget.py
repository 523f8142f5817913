"""Which width each weight gets so that all of them fit their bytes at the least error together.

Pure: numbers in, choices out. A multiple-choice knapsack (Kellerer, Pferschy and Pisinger,
"Knapsack Problems", 2004, chapter 11): solved exactly, by dynamic programming over the bytes, where
they fit into `UNITS` units; else the sizes are rounded up to units, and the answer comes with a
bound that no answer can be under.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

UNITS = 1 << 14
"""Into how many parts the bytes that may be spent are cut at most."""


@dataclass(frozen=True)
class Option:
    """One way to store a weight.

    Args:
        size_bytes: what it takes.
        error: what it costs; errors of different weights are added.
    """

    size_bytes: int
    error: float


@dataclass(frozen=True)
class Item:
    """A weight and the ways it may be stored; at least one."""

    name: str
    options: tuple[Option, ...]

    @property
    def smallest(self) -> int:
        """The bytes of its smallest option."""
        return min(option.size_bytes for option in self.options)


@dataclass(frozen=True)
class Allocation:
    """What was chosen.

    Args:
        chosen: by item, the index of its option.
        size_bytes: of all of them together.
        error: theirs, added.
        bound: no choice that fits has less error than this.
    """

    chosen: dict[str, int]
    size_bytes: int
    error: float
    bound: float


class BudgetError(ValueError):
    """Even the smallest options together take more than the budget.

    Args:
        smallest_bytes: what they take.
    """

    def __init__(self, smallest_bytes: int) -> None:
        super().__init__(f"at least {smallest_bytes} bytes are needed")
        self.smallest_bytes = smallest_bytes


def allocate(items: Sequence[Item], max_bytes: int) -> Allocation:
    """Choose an option for every item: the least error that fits into `max_bytes`.

    Equal errors are settled by the fewest bytes, and then by the items' order.

    Raises:
        BudgetError: nothing fits.
    """
    smallest = sum(item.smallest for item in items)
    if smallest > max_bytes:
        raise BudgetError(smallest)
    # More than the dearest options take cannot be spent, so it need not be counted.
    useful = sum(max(option.size_bytes for option in item.options) for item in items) - smallest
    capacity = min(max_bytes - smallest, useful)
    picks = _pick(items, capacity)
    _spend_rest(items, picks, max_bytes)
    chosen = [item.options[pick] for item, pick in zip(items, picks, strict=True)]
    return Allocation(
        {item.name: pick for item, pick in zip(items, picks, strict=True)},
        sum(option.size_bytes for option in chosen),
        sum(option.error for option in chosen),
        _bound(items, capacity),
    )


def _pick(items: Sequence[Item], capacity: int) -> list[int]:
    """Solve the knapsack over units of bytes above the smallest options."""
    import numpy as np

    unit = max(1, ceil(capacity / UNITS))
    room = capacity // unit
    least = np.zeros(room + 1)
    picks: list[npt.NDArray[np.int8]] = []
    for item in items:
        after = np.full(room + 1, inf)
        pick = np.zeros(room + 1, np.int8)
        for index in sorted(range(len(item.options)), key=lambda i: item.options[i].size_bytes):
            option = item.options[index]
            units = ceil((option.size_bytes - item.smallest) / unit)
            if units > room:
                continue
            total = least[: room + 1 - units] + option.error
            better = total < after[units:]
            after[units:][better] = total[better]
            pick[units:][better] = index
        least = after
        picks.append(pick)
    return _trace(items, picks, least, unit)


def _trace(
    items: Sequence[Item],
    picks: Sequence[npt.NDArray[np.int8]],
    least: npt.NDArray[np.float64],
    unit: int,
) -> list[int]:
    """Walk back from the fewest units with the least error."""
    at = int(least.argmin())
    chosen: list[int] = []
    for item, pick in zip(reversed(items), reversed(picks), strict=True):
        index = int(pick[at])
        chosen.append(index)
        at -= ceil((item.options[index].size_bytes - item.smallest) / unit)
    return chosen[::-1]


def _spend_rest(items: Sequence[Item], picks: list[int], max_bytes: int) -> None:
    """Spend what rounding up to units left over, on whatever lowers the error most."""
    left = max_bytes - sum(
        item.options[pick].size_bytes for item, pick in zip(items, picks, strict=True)
    )
    gains = [
        (now.error - option.error, option.size_bytes - now.size_bytes, place, index)
        for place, (item, pick) in enumerate(zip(items, picks, strict=True))
        for now in [item.options[pick]]
        for index, option in enumerate(item.options)
        if option.error < now.error
    ]
    moved: set[int] = set()
    for _, cost, place, index in sorted(gains, key=lambda gain: (-gain[0], gain[1:])):
        if cost <= left and place not in moved:
            picks[place] = index
            moved.add(place)
            left -= cost


def _bound(items: Sequence[Item], capacity: int) -> float:
    """Give the error of the best answer that may mix two options of one item."""
    error = 0.0
    slopes: list[tuple[float, int]] = []
    for item in items:
        corners = _lower_hull(item)
        error += corners[0].error
        for one, other in pairwise(corners):
            size = other.size_bytes - one.size_bytes
            slopes.append(((one.error - other.error) / size, size))
    for gain, size in sorted(slopes, reverse=True):
        taken = min(size, capacity)
        error -= gain * taken
        capacity -= taken
    return error


def _lower_hull(item: Item) -> list[Option]:
    """Give the options that some price of a byte makes the best, from small to large."""
    hull: list[Option] = []
    for option in sorted(item.options, key=lambda option: (option.size_bytes, option.error)):
        if hull and option.error >= hull[-1].error:
            continue
        while len(hull) > 1 and _is_above(hull[-2], hull[-1], option):
            hull.pop()
        hull.append(option)
    return hull


def _is_above(first: Option, middle: Option, last: Option) -> bool:
    """Say whether `middle` lies on or above the line from `first` to `last`."""
    rise = (last.error - first.error) * (middle.size_bytes - first.size_bytes)
    return (middle.error - first.error) * (last.size_bytes - first.size_bytes) >= rise
