"""What a model card says of how variants sound: each figure with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lofi_engine.publishing.facts import Release

_COLUMNS = {"fad": "FAD", "clap": "CLAP score"}


def heard_metrics(release: Release) -> tuple[str, ...]:
    """Name the metrics of sound that every variant was measured by."""
    qualities = [measure["quality"] for measure in release.measures.values()]
    return tuple(metric for metric in _COLUMNS if all(metric in quality for quality in qualities))


def column_of(metric: str) -> str:
    """Head a metric's column."""
    return f"{_COLUMNS[metric]} (change from float32)"


def cell_of(found: Mapping[str, Any]) -> str:
    """Say a variant's figure and how far it is from float32's, with the interval of that."""
    change = found["change"]
    if change["relative"] is None:
        return f"{found['value']:.3g}"
    low, high = change["relative_interval"]
    return (
        f"{found['value']:.3g} ({100 * change['relative']:+.2g} %, "
        f"{100 * low:+.2g} to {100 * high:+.2g} %)"
    )


def basis_of(release: Release, metric: str) -> str:
    """Say what a metric's figures mean and what they rest on, in one paragraph."""
    float32 = next(iter(release.measures.values()))["quality"][metric]["float32"]
    details, interval = float32["details"], float32["interval"]
    sureness = (
        f"float32's is {float32['value']:.3g} ({100 * interval['confidence']:.0f} % interval "
        f"{interval['low']:.3g} to {interval['high']:.3g}); intervals of the changes are by paired "
        f"bootstrap over clips, {interval['resamples']} draws."
    )
    windows = f"of {details['window_sec']:g} s, one every {details['hop_sec']:g} s"
    if metric == "fad":
        return (
            f"FAD: Fréchet audio distance, lower is better, in `{float32['embedding']}`, of "
            f"{float32['n']} windows ({windows}; {details['clips']} clips) against "
            f"{float32['against']} ({details['reference_windows']} windows, "
            f"{details['reference_clips']} tracks, hash `{float32['reference_hash']}`). Distances "
            f"to other tracks or in other embeddings do not compare; {sureness}"
        )
    return (
        f"CLAP score: cosine of prompt and sound, higher is better, by `{float32['embedding']}`, "
        f"mean of {float32['n']} clips (windows {windows}); {sureness}"
    )
