"""What key a text asks for, what key a sound is in, and how near two keys are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.metrics.tempo import hear_mono
from lofi_runtime.synth.score import PITCH_NAMES

if TYPE_CHECKING:
    from lofi_engine.metrics.clips import Clip

SAME, FIFTH, RELATIVE, PARALLEL = 1.0, 0.5, 0.3, 0.2
"""MIREX's weights of the audio key detection task, as mir_eval (Raffel et al. 2014) applies them:
a fifth counts only where the key that was found is the higher one."""

_MINOR_MODES = ("minor", "dorian", "phrygian", "harmonic minor")


def asked_key(prompt: str) -> str | None:
    """Read the key that a text asks for, as "A minor"; None where it names no tonic and mode.

    A church mode counts as the major or minor that its third makes it: "D dorian" is D minor.
    """
    from lofi_runtime.synth.words import read

    wishes = read(prompt)
    if wishes.tonic is None or wishes.mode is None:
        return None
    mode = "minor" if wishes.mode in _MINOR_MODES else "major"
    return f"{PITCH_NAMES[wishes.tonic]} {mode}"


def hear_key(clip: Clip) -> str:
    """Estimate the key of a clip's first minute, such as "A minor"; "" without pitch."""
    from lofi_engine.audio.music import find_key

    return find_key(hear_mono(clip))


def relation(found: str, asked: str) -> str:
    """Name how two keys are related: "same", "fifth", "relative", "parallel" or "other".

    Args:
        found: such as "A minor".
        asked: the one it should be.
    """
    tonic, is_minor = _parts(found)
    asked_tonic, asked_minor = _parts(asked)
    higher = (tonic - asked_tonic) % 12
    if is_minor == asked_minor:
        return {0: "same", 7: "fifth"}.get(higher, "other")
    if higher == 0:
        return "parallel"
    # A minor is relative to C major: its tonic is three semitones lower, or nine higher.
    return "relative" if higher == (9 if is_minor else 3) else "other"


WEIGHTS = {"same": SAME, "fifth": FIFTH, "relative": RELATIVE, "parallel": PARALLEL, "other": 0.0}
"""By relation."""


def _parts(key: str) -> tuple[int, bool]:
    tonic, mode = key.split()
    return PITCH_NAMES.index(tonic), mode == "minor"
