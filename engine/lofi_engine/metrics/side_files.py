"""Reads what is known of clips from the files beside them.

Four kinds, the first that says something counts: an entry of `clips.json` in the folder given; the
record `rain.json` or `rain.wav.json` that the runtime writes beside `rain.wav`; `rain_prompt.txt`
and `rain_lyrics.txt`; and, for the style alone, a file or folder named after one (`CORE-01/`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import ClipFacts

TABLE_NAME = "clips.json"
_MAX_BYTES = 16 * 2**20
_TAG = re.compile(r"\[[^\]]*\]")
_STYLE = re.compile(r"([A-Z]+-[0-9]{2})(?![0-9A-Za-z])")


def read_table(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Read `clips.json`: facts by clip name; empty where there is none.

    Its form is `{"rain": {"prompt": ..., "style": ..., "lyrics": ..., "seed": ...}}`, with the
    clips' names as `ClipFolder` gives them, or that under a key "clips".

    Raises:
        MetricError: it cannot be read or is of another form.
    """
    path = folder / TABLE_NAME
    if not path.exists():
        return {}
    table = _read_json(path)
    if isinstance(table, Mapping) and isinstance(table.get("clips"), Mapping):
        table = table["clips"]
    if not isinstance(table, Mapping) or not all(
        isinstance(one, Mapping) for one in table.values()
    ):
        raise MetricError(
            f"{path}: is no table of clips",
            hint='it maps names to facts: {"rain": {"prompt": "...", "seed": 7}}',
        )
    return table


def read_facts(path: Path, name: str, entry: Mapping[str, Any] | None) -> ClipFacts:
    """Gather what is known of one clip.

    Args:
        path: its audio file.
        name: of the clip: its place in the folder without the suffix.
        entry: its row of `clips.json`, where it has one.

    Raises:
        MetricError: a file beside it is damaged, or holds a fact of the wrong kind.
    """
    sources = [] if entry is None else [(f"{TABLE_NAME}: {name}", entry)]
    for beside in (path.with_suffix(".json"), path.with_name(path.name + ".json")):
        if beside.is_file() and beside.name != TABLE_NAME:
            sources.append((str(beside), _spec(beside)))
    texts = {
        kind: _read_text(path.with_name(f"{path.stem}_{kind}.txt")) for kind in ("prompt", "lyrics")
    }
    return ClipFacts(
        prompt=_words(sources, "prompt") or " ".join(texts["prompt"].split()),
        style=_words(sources, "style") or _style_in(name),
        lyrics=_sung(_words(sources, "lyrics") or texts["lyrics"]),
        seed=_seed(sources),
    )


def _spec(path: Path) -> Mapping[str, Any]:
    """Give the facts of a runtime's record, which keeps them under "spec", or of a flat file."""
    record = _read_json(path)
    if not isinstance(record, Mapping):
        raise MetricError(f"{path}: is no record of a clip", hint="mend it or move it away")
    spec = record.get("spec")
    return spec if isinstance(spec, Mapping) else record


def _words(sources: list[tuple[str, Mapping[str, Any]]], key: str) -> str:
    for where, facts in sources:
        value = facts.get(key)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise MetricError(f"{where}: {key} is {value!r}", hint="it must be text")
        return value.encode("utf-8", "replace").decode()  # JSON may hold half a character
    return ""


def _seed(sources: list[tuple[str, Mapping[str, Any]]]) -> int | None:
    for where, facts in sources:
        value = facts.get("seed")
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise MetricError(f"{where}: seed is {value!r}", hint="it must be a whole number")
        return value
    return None


def _style_in(name: str) -> str:
    """Give the style that the file or a folder above it is named after, the nearest first."""
    for part in reversed(name.split("/")):
        found = _STYLE.match(part)
        if found and found[1] in _style_ids():
            return found[1]
    return ""


@cache
def _style_ids() -> frozenset[str]:
    from lofi_runtime.styles.taxonomy import load_styles

    return frozenset(load_styles())


def _sung(lyrics: str) -> str:
    """Give lyrics; "" where nothing but section tags is in them, as in "[Instrumental]"."""
    return lyrics if _TAG.sub("", lyrics).strip() else ""


def _read_text(path: Path) -> str:
    if not path.is_file():
        return ""
    return _read(path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except ValueError as error:
        raise MetricError(
            f"{path}: is not JSON: {error}", hint="mend it or move it away"
        ) from error


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise MetricError(f"{path}: is larger than {_MAX_BYTES} bytes", hint="move it away")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetricError(f"{path}: is not UTF-8 text", hint="save it as UTF-8") from error
    except OSError as error:
        raise MetricError(
            f"{path}: cannot be read: {error.strerror}", hint="make it readable"
        ) from error
