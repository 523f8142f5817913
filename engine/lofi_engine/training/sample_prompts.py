"""What is asked for while training: one prompt of every group of styles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lofi_runtime.styles.prompts import expand_style
from lofi_runtime.styles.taxonomy import GROUPS, load_styles

SEED = 0
INFERENCE_STEPS = 27
SHORTEST_SEC, LONGEST_SEC = 5, 20
LYRICS = """[verse]
Rain on the window, a lamp in the hall
The record is turning, its hiss fills it all
[chorus]
Stay for a minute, stay for the night"""
"""What styles with a voice sing."""


@dataclass(frozen=True)
class SamplePrompt:
    """One clip of the suite.

    Args:
        style: its style's id.
        name: its style's name.
        group: its style's group.
        prompt: the tags that are asked for.
        lyrics: what is sung, "" for an instrumental.
        tracks: how many training tracks are of this style.
    """

    style: str
    name: str
    group: str
    prompt: str
    lyrics: str
    tracks: int


def clip_length(window_sec: float) -> int:
    """Give a clip's seconds: what training sees at once, from 5 to 20."""
    return min(max(round(window_sec), SHORTEST_SEC), LONGEST_SEC)


def choose_prompts(style_ids: Iterable[str], *, lyrics: str = LYRICS) -> tuple[SamplePrompt, ...]:
    """Choose a style for every group: the one most trained on, else the group's first.

    A style that is not trained on shows what else the adapter changes.

    Args:
        style_ids: of every training track, one after the other; ids that the shipped taxonomy
            does not have are passed over.
        lyrics: what styles with a voice sing.

    Returns:
        One prompt a group, in the order of the groups; equal styles give equal prompts.
    """
    counts = Counter(style_ids)
    styles = list(load_styles().values())
    found = []
    for group in GROUPS:
        inside = [style for style in styles if style.group == group]
        style = max(inside, key=lambda one: counts[one.id])  # the first of equals
        found.append(
            SamplePrompt(
                style=style.id,
                name=style.name,
                group=group,
                prompt=expand_style(style, SEED),
                lyrics=lyrics if style.vocal else "",
                tracks=counts[style.id],
            )
        )
    return tuple(found)
