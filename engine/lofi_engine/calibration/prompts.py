"""Which prompts calibrate: spread over all styles, with lyrics where there is a voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest

from lofi_engine.errors import StageError
from lofi_runtime.styles.taxonomy import Style


@dataclass(frozen=True)
class CalibrationPrompt:
    """One generation whose activations are looked at.

    Args:
        style: its style's id.
        prompt: the tags.
        lyrics: "" for an instrumental.
        seed: of its noise.
    """

    style: str
    prompt: str
    lyrics: str
    seed: int


def calibration_prompts(
    styles: Mapping[str, Style], count: int, seed: int
) -> tuple[CalibrationPrompt, ...]:
    """Write `count` prompts, styles in turn, a voice among the first two.

    Raises:
        StageError: none of them is vocal.
    """
    from lofi_engine.styles.lyric_templates import fill_template, template_of
    from lofi_runtime.styles.prompts import expand_style

    order = _in_turn(styles)
    prompts = []
    for number in range(count):
        style = order[number % len(order)]
        lyrics = fill_template(template_of(style), seed + number) if style.vocal else ""
        prompt = expand_style(style, seed + number)
        prompts.append(CalibrationPrompt(style.id, prompt, lyrics, seed + number))
    if not any(one.lyrics for one in prompts):
        which = ", ".join(dict.fromkeys(one.style for one in prompts))
        raise StageError(
            f"calibration.prompts: {count} cover no vocal style, only {which}",
            hint="ask for 2 or more, of styles with a voice among them; 128 are usual",
        )
    return tuple(prompts)


def _in_turn(styles: Mapping[str, Style]) -> list[Style]:
    """Take one style of each group in turn, the second from those with a voice."""
    groups: dict[str, list[Style]] = {}
    for style in styles.values():
        groups.setdefault("vocal" if style.vocal else style.group, []).append(style)
    voices = groups.pop("vocal", [])
    rows = list(groups.values())
    rows.insert(min(1, len(rows)), voices)
    turns = chain.from_iterable(zip_longest(*rows))
    return [style for style in turns if style is not None]
