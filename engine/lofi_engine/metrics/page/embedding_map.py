"""Draws where the windows of each set lie: their two largest principal components, as SVG."""

from __future__ import annotations

import html
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.document import Measured
from lofi_engine.metrics.embedded import EmbeddedSet, embed_set
from lofi_engine.metrics.protocol import Embedding, Report

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Points = npt.NDArray[np.float64]

WIDTH, HEIGHT = 760, 520
MOST_WINDOWS = 700
"""Of a set that are drawn, spread evenly over it."""
_ROOM = 24


@dataclass(frozen=True)
class EmbeddingMap:
    """A drawn map.

    Args:
        svg: the picture; "" where there is none.
        said: what it shows, or why there is none.
    """

    svg: str
    said: str


def draw_map(measured: Sequence[Measured], embedding: Embedding, report: Report) -> EmbeddingMap:
    """Embed the sets and draw them in one plane.

    Args:
        measured: the sets.
        embedding: what was measured in, so that nothing is embedded twice.
        report: called after every clip.

    Returns:
        The map; one without a picture where the sets cannot be embedded.
    """
    try:
        embedded = [embed_set(one.folder, embedding, report) for one in measured]
        placed, shares = project([one.stacked() for one in embedded])
    except MetricError as error:
        return EmbeddingMap("", f"No map: {error}")
    plane = _Plane.around(placed)
    marks = [
        mark
        for one, points, found in zip(measured, placed, embedded, strict=True)
        for mark in _marks(one, points, found, plane)
    ]
    # In no set's order: one set drawn whole over another would hide it.
    drawn = "".join(sorted(marks, key=lambda mark: zlib.crc32(mark.encode())))
    said = (
        f"Every point is a window of {embedding.window_sec:g} s in {embedding.name}; the plane "
        f"holds {shares[0] + shares[1]:.0%} of what windows differ by ({shares[0]:.0%} across, "
        f"{shares[1]:.0%} up). Points that are apart differ; points that are close may differ in "
        "what the plane leaves out."
    )
    return EmbeddingMap(
        f'<svg class="map" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Embedding map of {len(marks)} windows">{drawn}</svg>',
        said,
    )


def project(sets: Sequence[Points]) -> tuple[list[Points], tuple[float, float]]:
    """Project sets on the two principal components of all their vectors together.

    Args:
        sets: float64 (windows, dimensions) each.

    Returns:
        (windows, 2) for each set, and the two components' shares of the variance.

    Raises:
        MetricError: all vectors are the same.
    """
    import numpy as np

    together = np.concatenate(list(sets))
    middle = together.mean(axis=0)
    _, sizes, directions = np.linalg.svd(together - middle, full_matrices=False)
    total = float(np.square(sizes).sum())
    if not total > 0:
        raise MetricError("all windows embed alike", hint="use more clips")
    plane = np.zeros((2, together.shape[1]))
    plane[: len(directions[:2])] = directions[:2]
    # A component's sign is arbitrary: its largest part points up, so that equal sets look equal.
    for row in plane:
        row *= np.sign(row[np.abs(row).argmax()]) or 1.0
    shares = [*(np.square(sizes[:2]) / total), 0.0]
    return [(one - middle) @ plane.T for one in sets], (float(shares[0]), float(shares[1]))


@dataclass(frozen=True)
class _Plane:
    """Where points stand in the picture; both directions have one scale."""

    left: float
    top: float
    scale: float

    @classmethod
    def around(cls, placed: Sequence[Points]) -> _Plane:
        import numpy as np

        together = np.concatenate(list(placed))
        low, high = together.min(axis=0), together.max(axis=0)
        inside = np.array([WIDTH - 2 * _ROOM, HEIGHT - 2 * _ROOM])
        scale = float((inside / np.maximum(high - low, 1e-9)).min())
        spare = (inside - (high - low) * scale) / 2 + _ROOM
        return cls(float(low[0] - spare[0] / scale), float(high[1] + spare[1] / scale), scale)

    def place(self, x: float, y: float) -> tuple[float, float]:
        return (x - self.left) * self.scale, (self.top - y) * self.scale


def _marks(
    measured: Measured, points: Points, embedded: EmbeddedSet, plane: _Plane
) -> Iterator[str]:
    titles = [
        _title(measured, name, at * embedded.hop_sec)
        for name in embedded.names
        for at in range(len(embedded.vectors[name]))
    ]
    step = -(-len(titles) // MOST_WINDOWS)
    for (x, y), title in list(zip(points, titles, strict=True))[::step]:
        yield _mark(measured.role, *plane.place(float(x), float(y)), title)


def _title(measured: Measured, name: str, start_sec: float) -> str:
    facts = measured.folder.facts(name)
    style = f", {facts.style}" if facts.style else ""
    return f"{measured.folder.label}: {name}{style}, from {start_sec:g} s"


def _mark(role: str, x: float, y: float, title: str) -> str:
    """Draw a set's own sign: colours alone do not tell sets apart for everyone."""
    said = f"<title>{html.escape(title)}</title>"
    if role == "judged":
        return f'<circle class="{role}" cx="{x:.1f}" cy="{y:.1f}" r="4">{said}</circle>'
    if role == "against":
        place = f'x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"'
        return f'<rect class="{role}" {place}>{said}</rect>'
    corners = f"{x:.1f},{y - 4.5:.1f} {x - 4.2:.1f},{y + 3.5:.1f} {x + 4.2:.1f},{y + 3.5:.1f}"
    return f'<polygon class="{role}" points="{corners}">{said}</polygon>'
