"""Many names of tensors listed shortly, and what two sets of tensors differ in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

Shape = tuple[int, ...]

_Box = tuple[frozenset[str], ...]
"""All names whose every part is one of the set in its place."""


def summarize_names(names: Iterable[str]) -> str:
    """List every name on one line, alike ones written once, as a shell expands braces.

    For example `blocks.{0-23}.attn.{to_k,to_q}.weight (48)`; the number counts the names.
    """
    by_length: dict[int, set[_Box]] = defaultdict(set)
    for name in set(names):
        parts = name.split(".")
        by_length[len(parts)].add(tuple(frozenset([part]) for part in parts))
    boxes = [box for length, found in by_length.items() for box in _merge(found, length)]
    return ", ".join(sorted(_write(box) for box in boxes))


def describe_misfit(expected: Mapping[str, Shape], found: Mapping[str, Shape]) -> str | None:
    """Say on one line all that is missing, unknown or misshapen in `found`; None where it fits."""
    missing = expected.keys() - found.keys()
    unknown = found.keys() - expected.keys()
    shapes: dict[str, list[str]] = defaultdict(list)
    for name in expected.keys() & found.keys():
        if expected[name] != found[name]:
            shapes[f"of shape {found[name]}, not {expected[name]}"].append(name)
    kinds = {"missing": missing, "unknown": unknown} | dict(sorted(shapes.items()))
    said = [
        f"{len(names)} {kind}: {summarize_names(names)}" for kind, names in kinds.items() if names
    ]
    return "; ".join(said) or None


def _merge(boxes: set[_Box], length: int) -> set[_Box]:
    """Join boxes that differ in one place alone: places that number layers first, then the rest."""
    numbered = [
        place
        for place in range(length)
        if any(part.isdecimal() for box in boxes for part in box[place])
    ]
    others = [place for place in reversed(range(length)) if place not in numbered]
    for place in (*reversed(numbered), *others):
        alike: dict[_Box, set[str]] = defaultdict(set)
        for box in boxes:
            alike[box[:place] + box[place + 1 :]] |= box[place]
        boxes = {(*rest[:place], frozenset(parts), *rest[place:]) for rest, parts in alike.items()}
    return boxes


def _write(box: _Box) -> str:
    count = 1
    for parts in box:
        count *= len(parts)
    name = ".".join(_write_part(parts) for parts in box)
    return name if count == 1 else f"{name} ({count})"


def _write_part(parts: frozenset[str]) -> str:
    """Write one part, or `{first-last,word}`: numbers as runs, then words."""
    if len(parts) == 1:
        return next(iter(parts))
    runs: list[list[int]] = []
    for number in sorted(int(part) for part in parts if part.isdecimal()):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    written = [str(low) if low == high else f"{low}-{high}" for low, high in runs]
    return f"{{{','.join([*written, *sorted(p for p in parts if not p.isdecimal())])}}}"
