"""Loads the styles: YAML files in `recipes/styles/`, one for each group.

The format is in `recipes/styles/README.md`. Every fault is reported at once, each line naming the
file, the style and the key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_runtime.errors import StyleError
from lofi_runtime.shared_data import shared_folder
from lofi_runtime.styles.plain_yaml import read_plain_yaml

CATEGORIES = (
    "genre", "mood", "instruments", "tempo", "production", "atmosphere", "vocal_type",
)  # fmt: skip
"""The template's order; a style's file has all but tempo, which is made from `tempo_bpm`."""
TAG_CATEGORIES = tuple(category for category in CATEGORIES if category != "tempo")

GROUPS = ("core", "seasonal", "thematic", "instrumental", "vocal")
MODES = (
    "major", "minor", "dorian", "phrygian", "lydian", "mixolydian", "harmonic minor", "pentatonic",
)  # fmt: skip
INSTRUMENTAL = "instrumental"
"""The vocal type of a track without a voice."""

_ID = re.compile(r"[A-Z][A-Z0-9]*-[0-9]{2}")
_TAG = re.compile(r"[a-zà-ÿ0-9&' -]{2,40}")
_TAG_LISTS = ("examples", "vocal_timbre", "technique")
_TEMPO_LIMITS_BPM = (40, 180)
_REQUIRED = ("id", "name", "description", "tempo_bpm", "modes", "tags")
_OPTIONAL = ("always", "season", "months", "examples", "vocal_timbre", "technique")


@dataclass(frozen=True)
class Style:
    """One style.

    Args:
        id: such as "SEASON-06".
        name: for a human.
        group: one of `GROUPS`.
        description: its characteristics in a few words.
        tempo_bpm: lowest and highest tempo.
        modes: the scales it is usually in.
        season: what time of year it belongs to, "" for all year.
        months: the same as month numbers, 1 is January; empty for all year.
        always: tags that every prompt of this style has.
        tags: tags by category, the most typical first.
        examples: prompts of this style as a person would write them.
        vocal_timbre: what its voices are like, from the vocabulary's timbres.
        technique: what its voices do, from the vocabulary's techniques.
    """

    id: str
    name: str
    group: str
    description: str
    tempo_bpm: tuple[int, int]
    modes: tuple[str, ...]
    season: str
    months: tuple[int, ...]
    always: tuple[str, ...]
    tags: Mapping[str, tuple[str, ...]]
    examples: tuple[str, ...] = ()
    vocal_timbre: tuple[str, ...] = ()
    technique: tuple[str, ...] = ()

    @property
    def vocal(self) -> bool:
        """Whether tracks of this style have a voice."""
        return INSTRUMENTAL not in self.tags["vocal_type"]

    def category_of(self, tag: str) -> str:
        """Give the category one of its tags stands in.

        Raises:
            KeyError: it is none of its tags.
        """
        for category, tags in self.tags.items():
            if tag in tags:
                return category
        raise KeyError(tag)


def shipped_styles() -> Path:
    """Give the folder of the styles that come with the program."""
    return shared_folder("recipes") / "styles"


def load_styles(folder: Path | None = None) -> Mapping[str, Style]:
    """Load a taxonomy, in the order of its files' groups.

    Args:
        folder: holds the YAML files; None takes the shipped ones.

    Returns:
        The styles by id.

    Raises:
        StyleError: no styles there, or faults in them, one line each.
    """
    folder = shipped_styles() if folder is None else folder
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    if not files:
        raise StyleError([f"{folder}: no styles here (*.yaml); leave dataset.styles out for ours"])
    problems: list[str] = []
    styles: dict[str, Style] = {}
    for file in files:
        for style in _read_file(file, problems):
            if style.id in styles:
                problems.append(f"{file.name}: {style.id}: this id is used twice")
            styles[style.id] = style
    if problems:
        raise StyleError([f"{folder.name}/{problem}" for problem in problems])
    return dict(sorted(styles.items(), key=lambda item: (GROUPS.index(item[1].group), item[0])))


def find_style(styles: Mapping[str, Style], style_id: str, wanted_by: str = "") -> Style:
    """Give a style by its id.

    Args:
        styles: the taxonomy.
        style_id: the id.
        wanted_by: the file or track that names it, for the error.

    Raises:
        StyleError: there is no such style.
    """
    if style_id in styles:
        return styles[style_id]
    near = difflib.get_close_matches(style_id.upper(), styles, n=1)
    prefix = f"{wanted_by}: " if wanted_by else ""
    what_to_do = f"did you mean {near[0]}?" if near else f"there are {', '.join(styles)}"
    raise StyleError([f"{prefix}there is no style '{style_id}' - {what_to_do}"])


def _read_file(file: Path, problems: list[str]) -> Iterable[Style]:
    try:
        content, found = read_plain_yaml(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        problems.append(f"{file.name}: not UTF-8 text")
        return
    if found:
        problems.extend(f"{file.name}:{fault}" for fault in found)
        return
    if not isinstance(content, dict) or set(content) != {"group", "styles"}:
        problems.append(f"{file.name}: expected the two keys 'group' and 'styles'")
        return
    group, entries = content["group"], content["styles"]
    if group not in GROUPS:
        problems.append(f"{file.name}: group: '{group}' is not one of {', '.join(GROUPS)}")
        return
    if not isinstance(entries, list):
        problems.append(f"{file.name}: styles: expected a list")
        return
    for number, entry in enumerate(entries):
        faults = list(_faults(entry))
        name = entry.get("id", f"styles[{number}]") if isinstance(entry, dict) else number
        problems.extend(f"{file.name}: {name}: {fault}" for fault in faults)
        if not faults:
            yield _style(entry, group)


def _style(entry: Mapping[str, Any], group: str) -> Style:
    low, high = entry["tempo_bpm"]
    return Style(
        id=entry["id"],
        name=entry["name"],
        group=group,
        description=entry["description"],
        tempo_bpm=(low, high),
        modes=tuple(entry["modes"]),
        season=entry.get("season", ""),
        months=tuple(entry.get("months", ())),
        always=tuple(entry.get("always", ())),
        tags={category: tuple(entry["tags"][category]) for category in TAG_CATEGORIES},
        **{key: tuple(entry.get(key, ())) for key in _TAG_LISTS},
    )


def _faults(entry: object) -> Iterable[str]:
    """Say what is wrong with one style's mapping, without the file and the id."""
    if not isinstance(entry, dict):
        yield "expected a mapping"
        return
    for key in entry:
        if key not in (*_REQUIRED, *_OPTIONAL):
            near = difflib.get_close_matches(str(key), (*_REQUIRED, *_OPTIONAL), n=1)
            yield f"{key}: unknown key" + (f"; did you mean '{near[0]}'?" if near else "")
    missing = [key for key in _REQUIRED if key not in entry]
    yield from (f"{key}: missing" for key in missing)
    if missing:
        return
    if not isinstance(entry["id"], str) or not _ID.fullmatch(entry["id"]):
        yield f"id: '{entry['id']}' is not an id such as CORE-01"
    for key in ("name", "description", "season"):
        if key in entry and (not isinstance(entry[key], str) or not entry[key].strip()):
            yield f"{key}: expected words"
    for key in _TAG_LISTS:
        listed = entry.get(key, [])
        if not isinstance(listed, list) or not all(
            isinstance(line, str) and line.strip() for line in listed
        ):
            yield f"{key}: expected a list of words, got {listed}"
    yield from _number_faults(entry)
    yield from _tag_faults(entry)


def _number_faults(entry: Mapping[str, Any]) -> Iterable[str]:
    lowest, highest = _TEMPO_LIMITS_BPM
    tempo = entry["tempo_bpm"]
    if not (
        isinstance(tempo, list)
        and len(tempo) == 2
        and all(type(bpm) is int for bpm in tempo)
        and lowest <= tempo[0] <= tempo[1] <= highest
    ):
        yield f"tempo_bpm: expected [lowest, highest] within {lowest} to {highest}, got {tempo}"
    if not isinstance(entry["modes"], list) or not entry["modes"]:
        yield "modes: expected a list"
    else:
        for mode in entry["modes"]:
            if mode not in MODES:
                yield f"modes: '{mode}' is not one of {', '.join(MODES)}"
    months = entry.get("months", [])
    if not isinstance(months, list) or not all(type(m) is int and 1 <= m <= 12 for m in months):
        yield f"months: expected month numbers, 1 to 12, got {months}"


def _tag_faults(entry: Mapping[str, Any]) -> Iterable[str]:
    tags = entry["tags"]
    if not isinstance(tags, dict):
        yield "tags: expected a mapping of categories"
        return
    for category in tags:
        if category not in TAG_CATEGORIES:
            yield f"tags.{category}: not one of {', '.join(TAG_CATEGORIES)}"
    known: set[object] = set()
    for category in TAG_CATEGORIES:
        listed = tags.get(category)
        if not isinstance(listed, list) or not listed:
            yield f"tags.{category}: expected a list of tags"
            continue
        for tag in listed:
            if not isinstance(tag, str) or not _TAG.fullmatch(tag):
                yield f"tags.{category}: '{tag}' is not a tag: lower-case words without commas"
            elif tag in known:
                yield f"tags.{category}: '{tag}' stands here twice"
            known.add(tag if isinstance(tag, str) else str(tag))
    always = entry.get("always", [])
    if not isinstance(always, list):
        yield "always: expected a list of tags"
        return
    yield from (
        f"always: '{tag}' is none of this style's tags" for tag in always if tag not in known
    )
