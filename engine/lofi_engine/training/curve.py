"""Losses over steps as pictures: SVG, no plotting library."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from html import escape

from lofi_engine.training.history import History, band_of
from lofi_engine.training.report import Window

_WIDTH, _HEIGHT, _MARGIN = 640, 240, 40
_LEGEND_ROW = 18
_POINTS = 200
_LABEL = 'font-family="sans-serif" font-size="12"'
_LINE = 'fill="none" stroke-width="1.5"'
# Okabe and Ito 2008: told apart by every kind of colour vision.
_COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000", "#999999",
)  # fmt: skip
_OTHERS = "other styles"
_NO_STYLE = "no style"

Points = Sequence[tuple[float, float]]
"""(step, value), by step."""


def draw_losses(history: History) -> dict[str, str]:
    """Draw all pictures of a training, by file name; what was never measured has none."""
    pictures = {
        "loss.svg": draw_curve(history.losses),
        "loss-by-noise.svg": draw_by_noise(history),
        "loss-by-style.svg": draw_by_style(history),
        "held-out-loss.svg": draw_held_out(history),
    }
    return {name: picture for name, picture in pictures.items() if picture}


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

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}">'
        f'<rect width="100%" height="100%" fill="white"/>'
        f'<polyline {_LINE} stroke="#bbbbbb" points="{points(losses)}"/>'
        f'<polyline {_LINE} stroke="#1f5fbf" points="{points(_running_mean(losses))}"/>'
        f'<text {_LABEL} x="{_MARGIN}" y="20">denoising loss over {len(losses)} steps</text>'
        f'<text {_LABEL} x="2" y="{_MARGIN + 4}">{high:.3g}</text>'
        f'<text {_LABEL} x="2" y="{_HEIGHT - _MARGIN + 4}">{low:.3g}</text>'
        "</svg>\n"
    )


def draw_by_noise(history: History) -> str:
    """Draw the loss of each band of noise levels over steps; see `history.BANDS`."""
    lines = _smooth_lines(history, lambda window: band_of(window.sigma))
    return draw_lines("denoising loss by noise level, 0 is clean", dict(sorted(lines.items())))


def draw_by_style(history: History) -> str:
    """Draw the loss of each style over steps: the most seen ones, and the others as one line."""
    seen = Counter(window.style for one in history.steps for window in one.windows)
    most = len(_COLOURS) if len(seen) <= len(_COLOURS) else len(_COLOURS) - 1
    named = {style: style or _NO_STYLE for style, _ in sorted(seen.items(), key=_by_count)[:most]}
    lines = _smooth_lines(history, lambda window: named.get(window.style, _OTHERS))
    order = [name for name in (*named.values(), _OTHERS) if name in lines]
    return draw_lines("denoising loss by style", {name: lines[name] for name in order})


def draw_held_out(history: History) -> str | None:
    """Draw the loss on held-out tracks over checkpoints; None where it was never measured."""
    if not history.held_out:
        return None
    points = sorted(history.held_out.items())
    return draw_lines("denoising loss on held-out tracks", {"held-out": points}, marks=True)


def draw_lines(title: str, lines: Mapping[str, Points], *, marks: bool = False) -> str:
    """Draw lines over steps as SVG text, with a legend; at most eight have colours of their own.

    Args:
        title: what is drawn.
        lines: by name, each with at least one point.
        marks: whether every point gets a dot.

    Returns:
        The same lines give the same bytes.
    """
    values = [value for points in lines.values() for _, value in points]
    steps = [step for points in lines.values() for step, _ in points]
    low, high, first, last = min(values), max(values), min(steps), max(steps)
    places = {
        name: [
            (
                _MARGIN + (_WIDTH - 2 * _MARGIN) * (step - first) / ((last - first) or 1),
                _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * (value - low) / ((high - low) or 1.0),
            )
            for step, value in points
        ]
        for name, points in lines.items()
    }
    drawn = [
        _line(points, _COLOURS[number % len(_COLOURS)], marks)
        for number, points in enumerate(places.values())
    ]
    height = _HEIGHT + _LEGEND_ROW * -(-len(lines) // 4)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(drawn)}'
        f'<text {_LABEL} x="{_MARGIN}" y="20">{escape(title)}</text>'
        f'<text {_LABEL} x="2" y="{_MARGIN + 4}">{high:.3g}</text>'
        f'<text {_LABEL} x="2" y="{_HEIGHT - _MARGIN + 4}">{low:.3g}</text>'
        f'<text {_LABEL} x="{_MARGIN}" y="{_HEIGHT - 14}">step {first:g}</text>'
        f'<text {_LABEL} x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 14}" text-anchor="end">'
        f"{last:g}</text>{_legend(list(lines))}</svg>\n"
    )


def _line(places: Points, colour: str, marks: bool) -> str:
    pairs = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'
        for x, y in places
        if marks or len(places) == 1  # a line of one point is none
    ]
    return f'<polyline {_LINE} stroke="{colour}" points="{pairs}"/>{"".join(dots)}'


def _legend(names: Sequence[str]) -> str:
    entries = []
    for number, name in enumerate(names):
        x = _MARGIN + (number % 4) * (_WIDTH - 2 * _MARGIN) // 4
        y = _HEIGHT + _LEGEND_ROW * (number // 4)
        colour = _COLOURS[number % len(_COLOURS)]
        entries.append(
            f'<rect x="{x}" y="{y - 5}" width="14" height="3" fill="{colour}"/>'
            f'<text {_LABEL} x="{x + 20}" y="{y}">{escape(name)}</text>'
        )
    return "".join(entries)


def _smooth_lines(
    history: History, name_of_window: Callable[[Window], str]
) -> dict[str, list[tuple[float, float]]]:
    """Give the running mean of the windows of each name, thinned to what a picture shows."""
    seen: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for one in history.steps:
        for window in one.windows:
            seen[name_of_window(window)].append((one.step, window.loss))
    lines = {}
    for name, pairs in seen.items():
        means = _running_mean([loss for _, loss in pairs])
        points = [(float(step), mean) for (step, _), mean in zip(pairs, means, strict=True)]
        lines[name] = points[:: max(1, len(points) // _POINTS)]
    return lines


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _running_mean(losses: Sequence[float]) -> list[float]:
    width = max(1, len(losses) // 20)
    means, total = [], 0.0
    for index, loss in enumerate(losses):
        total += loss - (losses[index - width] if index >= width else 0.0)
        means.append(total / min(index + 1, width))
    return means
