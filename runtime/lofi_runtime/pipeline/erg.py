"""Entropy-rectified guidance, as ACE-Step uses it.

Ifriqi et al., 2025, "Entropy Rectifying Guidance for Diffusion and Flow Models".

Guidance steers away from a worse prediction. Rather than from one that was told nothing, it steers
away from one whose attention is blurred: the queries of some layers are multiplied by
`QUERY_SCALE`, so that their softmax is nearly flat. Which layers is the model's affair: its graphs
take the scale, one for each row, as their optional input `QUERY_SCALE_INPUT`.

What the guided branch is told, by the parts that are on (the speaker is always zeros):

    lyric and text     the prompt read with scaled queries, the same lyrics read with scaled queries
    lyric alone        zero text states, the same lyrics read with scaled queries
    not lyric          zero text states and zero lyric ids, nothing scaled; `text` has no effect

The masks are always those of the request. `diffusion` scales queries while denoising, whatever the
other two say.
"""

from __future__ import annotations

from dataclasses import dataclass

QUERY_SCALE = 0.01
"""What weakened queries are multiplied by: the reference pipeline's `tau`."""
QUERY_SCALE_INPUT = "query_scale"
"""The optional input of a graph that can weaken its queries: float32 (rows,) or (1,), default 1."""


@dataclass(frozen=True)
class Erg:
    """Which parts of the model are weakened; the defaults are the reference's.

    Args:
        text: the text encoder; of no effect without `lyric`.
        lyric: the lyric encoder.
        diffusion: the decoder, at every guided evaluation.
    """

    text: bool = True
    lyric: bool = True
    diffusion: bool = True


FULL_ERG = Erg()
"""The reference's default."""
NO_ERG = Erg(text=False, lyric=False, diffusion=False)
"""Plain guidance: the other branch is told nothing, and reads it with full attention."""
