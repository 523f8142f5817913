"""Where in a track playing is, between two times that the child tells."""

from __future__ import annotations

import time


class Clock:
    """Runs on from the last position that was put, or stands still."""

    def __init__(self) -> None:
        self._at_sec = 0.0
        self._since: float | None = None

    @property
    def runs(self) -> bool:
        """Whether it moves."""
        return self._since is not None

    def put(self, position_sec: float, *, runs: bool) -> None:
        """Set it."""
        self._at_sec = position_sec
        self._since = time.monotonic() if runs else None

    def read(self) -> float:
        """Return the position in seconds; it knows no track's end."""
        return self._at_sec + (time.monotonic() - self._since if self._since is not None else 0.0)
