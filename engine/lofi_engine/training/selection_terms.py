"""The terms of a checkpoint's score, each from what was measured of it and of the base.

- held_out_loss and fad are distances that no checkpoint brings below 0: 1 - checkpoint / base.
- prompt is a cosine: the share of the way from the base's to 1, (checkpoint - base) / (1 - base).
- ratings are marks from 1 to 5: the share of that scale, (checkpoint - base) / 4, where a base that
  nobody rated counts as 3.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.metrics.bootstrap import FEWEST_DRAWN, draw_clips
from lofi_engine.metrics.embedded import EmbeddedSet
from lofi_engine.metrics.figures import HIGHER, LOWER
from lofi_engine.training.ratings import BASE, HIGHEST, LOWEST, NEITHER
from lofi_engine.training.selection import RESAMPLES, Standing, Term
from lofi_engine.training.validation import LEVELS, mean_error

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

LOSS, FAD, PROMPT, RATINGS = "held_out_loss", "fad", "prompt", "ratings"
OF_BASE = "1 - checkpoint / base"
OF_THE_REST = "(checkpoint - base) / (1 - base)"
OF_THE_SCALE = "(checkpoint - base) / 4"
_LOSS_SEED, _CLIPS_SEED, _RATINGS_SEED = range(3)  # tracks, clips and ratings vary apart

Errors = Mapping[str, Sequence[Sequence[float]]]
"""By "base" and checkpoint, what `validation_errors` gave."""


def loss_term(
    errors: Errors, styles: Sequence[str], sigmas: Sequence[float], weight: float
) -> Term:
    """Judge by the denoising error on tracks; tells it by style and by noise level too.

    Args:
        errors: by "base" and checkpoint.
        styles: each track's main style, "" where it has none.
        sigmas: the noise levels that `LEVELS` are.
        weight: how much it counts.

    Raises:
        StageError: the base has no error at all.
    """
    by_track = {name: _track_means(rows) for name, rows in errors.items()}
    draws = _draws(len(styles), _LOSS_SEED)
    drawn = {name: _drawn_means(values, draws) for name, values in by_track.items()}
    figures = {name: mean_error(rows) for name, rows in errors.items()}
    _check_base(LOSS, figures[BASE])
    parts = {
        name: {"by_style": _by_style(rows, styles), "by_sigma": _by_sigma(rows, sigmas)}
        for name, rows in errors.items()
    }
    return Term(
        name=LOSS,
        weight=weight,
        better=LOWER,
        rule=OF_BASE,
        base=figures[BASE],
        standings=_standings(figures, drawn, _share_of_base, parts),
        n=len(styles),
        counted="tracks",
        details={f"{BASE}_{name}": part for name, part in parts[BASE].items()},
    )


def fad_term(sets: Mapping[str, EmbeddedSet], tracks: EmbeddedSet, weight: float) -> Term:
    """Judge by the Fréchet audio distance of clips to held-out tracks.

    Args:
        sets: by "base" and checkpoint, clips of equal prompts, seeds and lengths.
        tracks: what they are held against.
        weight: how much it counts.

    Raises:
        MetricError: too few windows for any distance.
        StageError: the base is at no distance at all.
    """
    import numpy as np

    from lofi_engine.metrics.frechet import DistanceTo
    from lofi_engine.metrics.moments import ClipMoments
    from lofi_engine.metrics.projection import enough_windows

    *judged, reference = enough_windows([*sets.values(), tracks], project=True)
    distance_to = DistanceTo(ClipMoments(reference).gaussian())
    draws = _draws(len(judged[0].names), _CLIPS_SEED)
    figures: dict[str, float] = {}
    drawn: dict[str, Values | None] = {}
    for name, embedded in zip(sets, judged, strict=True):
        moments = ClipMoments(embedded)
        figures[name] = distance_to(moments.gaussian())
        drawn[name] = (
            draws
            if draws is None
            else np.array(
                [distance_to(moments.gaussian(moments.weights(places))) for places in draws]
            )
        )
    _check_base(FAD, figures[BASE])
    return Term(
        name=FAD,
        weight=weight,
        better=LOWER,
        rule=OF_BASE,
        base=figures[BASE],
        standings=_standings(figures, drawn, _share_of_base),
        n=len(judged[0].names),
        counted="clips",
        details={
            "embedding": judged[0].embedding_name,
            "windows": judged[0].windows,
            "against": tracks.label,
            "reference_tracks": len(reference.names),
            "reference_windows": reference.windows,
        },
    )


def prompt_term(scores: Mapping[str, Mapping[str, float]], embedding: str, weight: float) -> Term:
    """Judge by how well clips fit their prompts.

    Args:
        scores: by "base" and checkpoint, each clip's CLAP score; the same clips in all.
        embedding: the model's name.
        weight: how much it counts.
    """
    return _mean_term(
        scores,
        {
            "name": PROMPT,
            "weight": weight,
            "rule": OF_THE_REST,
            "details": {"embedding": embedding},
        },
        _share_of_the_rest,
        _CLIPS_SEED,
    )


def ratings_term(scores: Mapping[str, Mapping[str, float]], ratings: int, weight: float) -> Term:
    """Judge by what people say.

    Args:
        scores: of rated checkpoints, and of "base" where it is rated, each clip's mean score; the
            same clips in all.
        ratings: how many were given.
        weight: how much it counts.
    """
    clips = next(iter(scores.values()))
    rated = BASE in scores
    with_base = scores if rated else {**scores, BASE: dict.fromkeys(clips, NEITHER)}
    details = {"ratings": ratings, "base_is_rated": rated}
    return _mean_term(
        with_base,
        {"name": RATINGS, "weight": weight, "rule": OF_THE_SCALE, "details": details},
        lambda value, base: (value - base) / (HIGHEST - LOWEST),
        _RATINGS_SEED,
    )


def _mean_term(
    scores: Mapping[str, Mapping[str, float]],
    said: Mapping[str, Any],
    gain: Callable[[Any, Any], Any],
    seed: int,
) -> Term:
    """Judge by the mean of one value a clip; higher is better."""
    import numpy as np

    clips = sorted(next(iter(scores.values())))
    by_clip = {name: np.array([each[clip] for clip in clips]) for name, each in scores.items()}
    draws = _draws(len(clips), seed)
    figures = {name: math.fsum(values) / len(clips) for name, values in by_clip.items()}
    drawn = {name: _drawn_means(values, draws) for name, values in by_clip.items()}
    return Term(
        **said,
        better=HIGHER,
        base=figures[BASE],
        standings=_standings(figures, drawn, gain),
        n=len(clips),
        counted="clips",
    )


def _standings(
    figures: Mapping[str, float],
    drawn: Mapping[str, Values | None],
    gain: Callable[[Any, Any], Any],
    parts: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Standing]:
    base, base_drawn = figures[BASE], drawn[BASE]
    return {
        name: Standing(
            value,
            float(gain(value, base)),
            None if mine is None or base_drawn is None else gain(mine, base_drawn),
            (parts or {}).get(name, {}),
        )
        for name, value in figures.items()
        if name != BASE
        for mine in (drawn[name],)
    }


def _check_base(name: str, base: float) -> None:
    if not base > 0:
        raise StageError(
            f"select: the base's {name} is {base:g}, and nothing is a share of that",
            hint=f"set select.weights.{name} to 0",
        )


def _share_of_base(value: Any, base: Any) -> Any:
    return 1.0 - value / base


def _share_of_the_rest(value: Any, base: Any) -> Any:
    return (value - base) / (1.0 - base)


def _draws(count: int, seed: int) -> npt.NDArray[np.int64] | None:
    return draw_clips(count, RESAMPLES, seed) if count >= FEWEST_DRAWN else None


def _drawn_means(values: Values, draws: npt.NDArray[np.int64] | None) -> Values | None:
    return None if draws is None else values[draws].mean(axis=1)


def _track_means(rows: Sequence[Sequence[float]]) -> Values:
    import numpy as np

    means: Values = np.array(rows, dtype=np.float64).mean(axis=1)
    return means


def _by_style(rows: Sequence[Sequence[float]], styles: Sequence[str]) -> dict[str, float]:
    found: dict[str, list[Sequence[float]]] = defaultdict(list)
    for row, style in zip(rows, styles, strict=True):
        found[style].append(row)
    return {style: mean_error(found[style]) for style in sorted(found)}


def _by_sigma(rows: Sequence[Sequence[float]], sigmas: Sequence[float]) -> dict[str, float]:
    return {
        f"{sigma:.3f}": math.fsum(row[at] for row in rows) / len(rows)
        for at, sigma in enumerate(sigmas[: len(LEVELS)])
    }
