"""The clips the ladder is climbed on where no folder is given: synthesised lofi of many styles."""

from __future__ import annotations

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.protocol import Report

STYLES = 20
DURATION_SEC = 12.0
"""Twenty clips of seven windows each are twice the built-in embedding's dimensions."""


def synthesise_clips(
    report: Report, *, styles: int = STYLES, duration_sec: float = DURATION_SEC, seed: int = 0
) -> ClipsInMemory:
    """Render two clips a style, 48 kHz stereo, with their prompts and styles.

    They stand next to each other by name, so that the ladder's two halves have the same styles.
    Equal arguments give equal clips.

    Args:
        report: called after every clip.
        styles: how many, spread evenly over the taxonomy.
        duration_sec: of a clip.
        seed: of the first of each pair; the second has the next.

    Raises:
        MetricError: there are not so many styles.
    """
    from lofi_runtime.backend import SAMPLE_RATE
    from lofi_runtime.styles.taxonomy import load_styles
    from lofi_runtime.synth import compose, describe, render

    known = list(load_styles())
    if not 1 <= styles <= len(known):
        raise MetricError(
            f"{styles} styles to synthesise: there are {len(known)}",
            hint=f"ask for 1 to {len(known)}",
        )
    clips = []
    for index in range(2 * styles):
        style, own_seed = known[index // 2 * len(known) // styles], seed + index % 2
        score = compose("", seed=own_seed, duration_sec=duration_sec, style=style)
        facts = ClipFacts(prompt=describe(score)["prompt"], style=style, seed=own_seed)
        name = f"{style} {index % 2 + 1}"
        clips.append(Clip(name, render(score), SAMPLE_RATE, facts))
        report(index + 1, 2 * styles, name)
    label = f"{styles} synthesised styles, seeds {seed} and {seed + 1}, {duration_sec:g} s"
    return ClipsInMemory(label, clips)
