"""The loss curve as a picture: one SVG, no plotting library."""

from __future__ import annotations

from collections.abc import Sequence

_WIDTH, _HEIGHT, _MARGIN = 640, 240, 40
_POINTS = 200


def draw_curve(losses: Sequence[float]) -> str:
    """Draw losses over steps as SVG text: every value in grey, the running mean in blue.

    The same losses give the same bytes.
    """
    low, high = min(losses), max(losses)
    span = (high - low) or 1.0
    step = max(1, len(losses) // _POINTS)
    shown = list(range(0, len(losses), step))

    def points(values: Sequence[float]) -> str:
        pairs = []
        for index in shown:
            x = _MARGIN + (_WIDTH - 2 * _MARGIN) * index / max(1, len(losses) - 1)
            y = _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * (values[index] - low) / span
            pairs.append(f"{x:.1f},{y:.1f}")
        return " ".join(pairs)

    label = 'font-family="sans-serif" font-size="12"'
    line = 'fill="none" stroke-width="1.5"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}">'
        f'<rect width="100%" height="100%" fill="white"/>'
        f'<polyline {line} stroke="#bbbbbb" points="{points(losses)}"/>'
        f'<polyline {line} stroke="#1f5fbf" points="{points(_running_mean(losses))}"/>'
        f'<text {label} x="{_MARGIN}" y="20">denoising loss over {len(losses)} steps</text>'
        f'<text {label} x="2" y="{_MARGIN + 4}">{high:.3g}</text>'
        f'<text {label} x="2" y="{_HEIGHT - _MARGIN + 4}">{low:.3g}</text>'
        "</svg>\n"
    )


def _running_mean(losses: Sequence[float]) -> list[float]:
    width = max(1, len(losses) // 20)
    means, total = [], 0.0
    for index, loss in enumerate(losses):
        total += loss - (losses[index - width] if index >= width else 0.0)
        means.append(total / min(index + 1, width))
    return means
