"""The styles of `recipes/styles`, as far as a request needs them: their ids and their tags."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from typing import Any

from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.shared_data import shared_folder

MAX_PROMPT_BYTES = 1000
# The order and the number of tags the models were trained on.
_COUNTS = {
    "genre": 1,
    "mood": 2,
    "instruments": 3,
    "production": 2,
    "atmosphere": 1,
    "vocal_type": 1,
}


@cache
def load_styles() -> Mapping[str, Mapping[str, Any]]:
    """Read every shipped style, by id; once."""
    import yaml

    styles: dict[str, Mapping[str, Any]] = {}
    for path in sorted((shared_folder("recipes") / "styles").glob("*.yaml")):
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
        styles |= {style["id"]: style for style in record["styles"]}
    return styles


def find_style(style_id: str) -> Mapping[str, Any] | None:
    """Return the style, or None for an empty id.

    Raises:
        RpcError: INVALID_STYLE, names the nearest one.
    """
    if not style_id:
        return None
    styles = load_styles()
    if style_id not in styles:
        near = difflib.get_close_matches(style_id, styles, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(styles)}"
        raise RpcError("INVALID_STYLE", f"style: there is no style '{style_id}'", hint=hint)
    return styles[style_id]


def style_tags(style: Mapping[str, Any], prompt: str) -> str:
    """Return what a style adds to a prompt: tags separated by ", ", in the template's order.

    Args:
        style: see `find_style`.
        prompt: tags it already has are left out; together they stay within the prompt's bytes.
    """
    told = {tag.strip().lower() for tag in prompt.split(",")}
    added: list[str] = []
    for category, count in _COUNTS.items():
        tags = style["tags"].get(category, [])
        always = [tag for tag in tags if tag in style["always"]]
        others = [tag for tag in tags if tag not in always]
        for tag in [*always, *others[: max(0, count - len(always))]]:
            together = ", ".join([prompt, *added, tag])
            if tag.lower() not in told and len(together.encode()) <= MAX_PROMPT_BYTES:
                added.append(tag)
                told.add(tag.lower())
    return ", ".join(added)
