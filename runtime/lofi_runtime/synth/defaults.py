"""What lies beneath a prompt: the defaults of its style, its themes and its genre.

Styles are the taxonomy's, read as if their most typical tags had been asked for, so that the
synthesiser and a model are told the same. It is loaded once, when a style is first named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from lofi_runtime.synth import vocabulary as v
from lofi_runtime.synth.style_words import GENRE_DEFAULTS, STYLE_EXTRAS, THEME_DEFAULTS
from lofi_runtime.synth.words import LISTS, Wishes, read

if TYPE_CHECKING:
    from lofi_runtime.styles.taxonomy import Style


def expand(prompt: str, style: str = "") -> Wishes:
    """Return the wishes of a prompt with its style's, themes' and genre's defaults beneath.

    A style's instruments are wishes in full; those of themes and genres only fill an empty list.
    """
    wishes = read(prompt).over(style_wishes(style) or Wishes())
    for theme in wishes.themes:
        wishes = _fill(wishes, read(THEME_DEFAULTS[theme]))
    genre = wishes.genre or _implied_genre(wishes)
    wishes = replace(_fill(wishes, read(GENRE_DEFAULTS[genre])), genre=genre)
    return _without_refused(wishes)


@cache
def style_wishes(style_id: str) -> Wishes | None:
    """Return what a shipped style asks for, None for an unknown id.

    Raises:
        StyleError: the shipped styles are damaged.
    """
    from lofi_runtime.styles.prompts import typical_tags

    style = _shipped_styles().get(style_id.upper())
    if style is None:
        return None
    low, high = style.tempo_bpm
    extra = STYLE_EXTRAS.get(style.id, "")
    # What makes the style itself comes first: the first kit plays, the first noises are heard.
    wishes = read(f"{extra}, {typical_tags(style)}, {low}-{high} bpm")
    modes = tuple(mode for mode in style.modes if mode in v.MODE_WORDS)
    # A drum machine leaves the kit open, and then the genre knows better than chance.
    return replace(wishes, modes=modes, kit=None if wishes.kit == "any" else wishes.kit)


@cache
def _shipped_styles() -> Mapping[str, Style]:
    from lofi_runtime.styles.taxonomy import load_styles

    return load_styles()


def _fill(wishes: Wishes, defaults: Wishes) -> Wishes:
    keep_mine: dict[str, Any] = {"moods": wishes.moods, "instruments": wishes.instruments}
    merged = wishes.over(defaults)
    return replace(merged, **{name: mine for name, mine in keep_mine.items() if mine})


def _implied_genre(wishes: Wishes) -> str:
    if "chiptune lead" in wishes.instruments:
        return "chiptune lofi"
    if wishes.tempo_bpm and wishes.tempo_bpm[0] >= 108:
        return "lofi house"
    if wishes.kit == "house":
        return "lofi house"
    return "lofi hip hop"


def _without_refused(wishes: Wishes) -> Wishes:
    kept: dict[str, Any] = {
        name: tuple(item for item in getattr(wishes, name) if item not in wishes.refused)
        for name in LISTS
    }
    kit = None if "drums" in wishes.refused or wishes.kit in wishes.refused else wishes.kit
    if "drums" in wishes.refused:
        kept["percussion"] = ()
    return replace(wishes, kit=kit, **kept)
