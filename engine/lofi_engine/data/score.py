"""One figure for how good a source measures, and what cost it points.

It compares recordings; it does not judge music. Every part is a straight line between what costs
nothing and what costs all of its points, on the source before any gain:

| part | points | nothing lost | all lost |
|---|---|---|---|
| clipping | 25 | no sample in a flat top | 0.1 % of them |
| overs | 10 | true peak at 0 dBFS | 3 dB above it |
| silence | 15 | no silent frame | half of them |
| noise | 15 | noise floor 36 dB under what sounds | 6 dB under it |
| dynamics | 10 | crest factor of 10 dB | 4 dB: limited hard |
| bandwidth | 10 | sound up to 16 kHz | none above 6 kHz |
| bitrate | 10 | lossless, or 320 kbit/s | 96 kbit/s |
| offset | 5 | DC offset of 0.001 | 0.05 |

The score is 100 less all of them. The points of `noise` and `bandwidth` are few on purpose: tape
hiss and a low-pass belong to lofi.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

POINTS: Mapping[str, float] = {
    "clipping": 25.0,
    "overs": 10.0,
    "silence": 15.0,
    "noise": 15.0,
    "dynamics": 10.0,
    "bandwidth": 10.0,
    "bitrate": 10.0,
    "offset": 5.0,
}
"""What each part can cost; 100 together."""

_LINES: Mapping[str, tuple[float, float]] = {
    "clipping": (0.0, 0.001),
    "overs": (0.0, 3.0),
    "silence": (0.0, 0.5),
    "noise": (36.0, 6.0),
    "dynamics": (10.0, 4.0),
    "bandwidth": (16_000.0, 6_000.0),
    "bitrate": (320.0, 96.0),
    "offset": (0.001, 0.05),
}


def quality_score(measurements: Mapping[str, Any]) -> tuple[float, dict[str, float]]:
    """Score a source.

    Args:
        measurements: of the source, as in its ledger row.

    Returns:
        0 to 100; the points lost by part (every part, most of them 0), which add up to the rest.
    """
    values = {
        "clipping": measurements["clipped"],
        "overs": measurements["true_peak_dbfs"],
        "silence": measurements["silent"],
        "noise": measurements["rms_dbfs"] - measurements["noise_floor_dbfs"],
        "dynamics": measurements["crest_db"],
        "bandwidth": measurements["bandwidth_hz"],
        "bitrate": measurements.get("bitrate_kbps", _LINES["bitrate"][0]),
        "offset": abs(measurements["dc_offset"]),
    }
    parts = {name: _points_lost(name, float(value)) for name, value in values.items()}
    return round(100.0 - sum(parts.values()), 1), parts


def _points_lost(name: str, value: float) -> float:
    good, bad = _LINES[name]
    share = (value - good) / (bad - good)
    return round(POINTS[name] * min(1.0, max(0.0, share)), 1)
