"""The one real track, which lies beside a checkout where it lies at all: it may not be shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

REAL_TRACK = Path(__file__).resolve().parents[2].parent / "shared" / "audio" / "test_track_001.mp3"

needs_real_track = pytest.mark.skipif(
    not REAL_TRACK.is_file(),
    reason="a real track, whose licence does not let it be shipped, is not beside the checkout",
)
