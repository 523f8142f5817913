"""Holds what a source measures against the recipe, and says what is wrong or worth knowing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lofi_engine.audio.decode import Decoded
from lofi_engine.audio.spectrum import STEP_DB
from lofi_engine.recipe.model import Quality

OFFSET_REMOVED_ABOVE = 0.005
"""A larger DC offset is taken out of the track."""

_OVERS_TOLD_ABOVE_DBFS = 1.0
_RECODED_BELOW_HZ = 18_000  # 160 kbit/s and less end here
_RECODED_FROM_KBPS = 256
_LOUD_ENOUGH_DB = 0.1


def quality_faults(measurements: Mapping[str, Any], quality: Quality) -> Iterator[str]:
    """Say what about a source is not good enough, one clause for each fault.

    Args:
        measurements: of the source.
        quality: the recipe's limits.
    """
    duration_sec = measurements["duration_sec"]
    if duration_sec < quality.min_duration_sec:
        yield f"too short: {duration_sec:.1f} s, at least {quality.min_duration_sec:g} s are needed"
    if measurements["silent"] > quality.max_silent or measurements["rms_dbfs"] <= -120:
        yield (
            f"silent: {100 * measurements['silent']:.0f} % of it is silence, "
            f"at most {100 * quality.max_silent:g} % is allowed"
        )
    if measurements["clipped"] > quality.max_clipped:
        yield (
            f"clipped: {100 * measurements['clipped']:.2f} % of its samples, "
            f"at most {100 * quality.max_clipped:g} % is allowed"
        )
    bitrate = measurements.get("bitrate_kbps")
    if bitrate is not None and bitrate < quality.min_bitrate_kbps:
        yield f"bitrate {bitrate} kbps, lossy files need at least {quality.min_bitrate_kbps}"


def source_notes(
    measurements: Mapping[str, Any], decoded: Decoded, quality: Quality
) -> Iterator[str]:
    """Say what a human should know of a source that does not refuse it.

    Args:
        measurements: of the source.
        decoded: the source.
        quality: the recipe's limits.
    """
    from lofi_engine.audio.convert import channel_places

    kept = f"{quality.max_duration_sec:g} s"
    if decoded.start_sec:
        yield f"cut to {kept} from {decoded.start_sec:g} s on"
    elif measurements["duration_sec"] > quality.max_duration_sec:
        yield f"cut to its first {kept}"
    if not channel_places(decoded):
        yield f"{decoded.channels} channels of unknown places were averaged"
    if abs(measurements["dc_offset"]) > OFFSET_REMOVED_ABOVE:
        yield f"an offset of {measurements['dc_offset']:.3f} was taken out"
    if measurements["true_peak_dbfs"] > _OVERS_TOLD_ABOVE_DBFS:
        yield (
            f"peaks of {measurements['true_peak_dbfs']:.1f} dBFS between its samples: it was "
            "limited hard or clipped"
        )
    if _ends_as_encoders_do(measurements):
        yield (
            f"nothing above {measurements['bandwidth_hz'] / 1000:.1f} kHz: perhaps it was encoded "
            "before at a lower bitrate, or filtered on purpose"
        )


def loudness_notes(reached_lufs: float, asked_lufs: float, peak_dbfs: float) -> Iterator[str]:
    """Say that a track's peaks kept it from the loudness asked for."""
    if asked_lufs - reached_lufs > _LOUD_ENOUGH_DB:
        yield (
            f"{reached_lufs:.1f} LUFS: its peaks at {peak_dbfs:g} dBFS allow no more, "
            f"{asked_lufs:g} was asked for"
        )


def _ends_as_encoders_do(measurements: Mapping[str, Any]) -> bool:
    """Whether a file that could hold more ends in a step, where low bitrates are cut off.

    A file of an honest low bitrate ends there too and says so itself.
    """
    honest = measurements.get("bitrate_kbps", _RECODED_FROM_KBPS) < _RECODED_FROM_KBPS
    return (
        not honest
        and 0 < measurements["bandwidth_hz"] < _RECODED_BELOW_HZ
        and bool(measurements["cutoff_db"] >= STEP_DB)
    )
