"""The procedural backend: answers at once, needs no model, never touches the network."""

from __future__ import annotations

from lofi_runtime.backend import Audio, Progress, Request
from lofi_runtime.devices import CPU
from lofi_runtime.pipeline.lyrics import is_instrumental
from lofi_runtime.synth import VERSION
from lofi_runtime.synth.composition import compose
from lofi_runtime.synth.defaults import style_wishes
from lofi_runtime.synth.score import Score
from lofi_runtime.synth.sung import is_sung, sing


class ProceduralBackend:
    """Composes and plays lofi in NumPy and SciPy; scipy is loaded by the first `generate`."""

    type = "procedural"
    name = "Procedural synthesiser"
    model_version = f"procedural {VERSION}"
    device = CPU
    min_duration_sec = 5
    max_duration_sec = 600

    def generate(self, request: Request, progress: Progress) -> Audio:
        """Return the track for `request`; equal requests give equal samples.

        Steps, scheduler and guidance scale have no meaning here and are ignored.

        Raises:
            GenerationCancelled: `progress` said so.
        """
        from lofi_runtime.synth.rendering import render

        progress("compose", 0, 1)
        score = compose(
            request.prompt,
            seed=request.seed,
            duration_sec=float(request.duration_sec),
            style=request.style,
        )
        if not is_instrumental(request.lyrics):
            score = sing(score, request.lyrics)
        progress("compose", 1, 1)
        return Audio(render(score, progress), _warnings(request, score))


def _warnings(request: Request, score: Score) -> tuple[str, ...]:
    warnings = []
    if not is_instrumental(request.lyrics):
        warnings.append(
            "lyrics: the procedural synthesiser sings their vowels, not the words"
            if is_sung(score)
            else "lyrics ignored: nobody sings in this track; ask for female or male vocals"
        )
    if request.style and style_wishes(request.style) is None:
        warnings.append(
            f"style '{request.style}' is unknown to the procedural synthesiser; ignored"
        )
    return tuple(warnings)
