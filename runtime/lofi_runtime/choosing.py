"""Which of a model's variants a request gets that names none: the fastest that works and fits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lofi_runtime.devices import provider_for
from lofi_runtime.memory import needed_bytes
from lofi_runtime.sources import Looks, Source

AUTO = "auto"
PRECISIONS = ("int8-fast", "int8", "fp16", "int4")
"""Fastest first where a manifest has no figures: on a processor the fast 8-bit form costs least."""
RETRY_AFTER_SEC = 600.0
"""Memory that was short may be free later: a failure does not rule a variant out for ever."""


class Failures:
    """The variants that could not be loaded, each with the reason, until their files change.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[Path | None, tuple[Looks, float, str]] = {}

    def add(self, source: Source, reason: str) -> None:
        """Remember why a variant failed."""
        self._found[source.folder] = (source.looks, self._clock(), reason)

    def reason(self, source: Source) -> str:
        """Say why a variant is to be passed over, or ""."""
        looks, when, reason = self._found.get(source.folder, (frozenset(), 0.0, ""))
        is_recent = self._clock() - when < RETRY_AFTER_SEC
        return reason if looks == source.looks and is_recent else ""


def order(sources: Sequence[Source], device: str) -> list[Source]:
    """Order by model, then the fastest first, so that `auto` never trades the model for speed.

    Fast is what the manifests measured for the execution provider used here, all of them on one
    machine; if any variant of a model has no such figure, they come as in `PRECISIONS`.
    """
    models: dict[str, list[Source]] = {}
    for source in sorted(sources, key=_by_name):
        models.setdefault(source.model, []).append(source)
    return [one for model in sorted(models) for one in _by_speed(models[model], device)]


def choose(
    sources: Sequence[Source], failures: Failures, free_bytes: int | None, preferred: str = AUTO
) -> Source:
    """Choose among one model's variants; the choice's notes say what was passed over, and why.

    Args:
        sources: at least one, best first.
        failures: what failed lately.
        free_bytes: memory a model may take; None if nobody knows.
        preferred: a precision that goes first.
    """
    ordered = sorted(sources, key=lambda source: source.precision != preferred)
    notes = []
    if preferred not in (AUTO, ordered[0].precision):
        notes.append(f"precision {preferred} is not installed")
    small_enough = []
    for source in ordered:
        reason = failures.reason(source)
        if reason:
            notes.append(f"{_name(source)} failed: {reason}")
            continue
        small_enough.append(source)
        wanted = _needed_bytes(source)
        if free_bytes is not None and wanted > free_bytes:
            notes.append(
                f"{_name(source)} needs about {wanted / 1e9:.1f} GB of memory,"
                f" {free_bytes / 1e9:.1f} GB are free"
            )
            continue
        return _noted(source, notes)
    if not small_enough:
        return ordered[0]  # what was wrong may be over; who asks again is not refused unheard
    return _noted(min(small_enough, key=_needed_bytes), notes)


def _noted(source: Source, notes: Sequence[str]) -> Source:
    if not notes:
        return source
    return replace(source, notes=(*notes, f"{_name(source)} is used instead"))


def _needed_bytes(source: Source) -> int:
    return needed_bytes(source.size_bytes, source.precision)


def _name(source: Source) -> str:
    return source.precision or source.model


def _by_speed(variants: Sequence[Source], device: str) -> list[Source]:
    providers = [provider_for(device, tuple(source.measured)) for source in variants]
    pairs = list(zip(variants, providers, strict=True))
    if len({provider for _, provider in pairs}) > 1 or any(
        provider not in source.measured for source, provider in pairs
    ):
        return sorted(variants, key=_by_name)
    return sorted(variants, key=lambda source: source.measured[providers[0]].render_time_ratio)


def _by_name(source: Source) -> tuple[int, str]:
    known = source.precision in PRECISIONS
    return PRECISIONS.index(source.precision) if known else len(PRECISIONS), source.precision
