"""Names of audio devices that are always understood; a leaf, for the server and the child."""

from __future__ import annotations

DEFAULT = "default"
"""Wherever the system sends sound."""

NULL = "null"
"""A device that takes samples in real time and lets nobody hear them."""

SAMPLE_RATE = 48_000
"""Of everything that is played, in Hz."""
