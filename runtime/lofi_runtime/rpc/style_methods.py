"""The protocol's methods over the styles: the taxonomy, and a full prompt from a short request."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from lofi_runtime.requests import RANDOM_SEED_LIMIT, chosen_style, shipped
from lofi_runtime.rpc.connection import Answer, Connection
from lofi_runtime.styles.taxonomy import Style
from lofi_runtime.styles.writer import TaxonomyWriter

if TYPE_CHECKING:
    from lofi_runtime.server import Runtime

Params = Mapping[str, Any]


def styles(_runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Tell every style there is, in the taxonomy's order."""
    return Answer({"styles": [_describe(style) for style in shipped().values()]})


def expand_prompt(_runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Write a full tag prompt from a short request; equal requests and seeds give equal ones."""
    style = chosen_style(params["style"])
    given = params.get("seed")
    seed = secrets.randbelow(RANDOM_SEED_LIMIT) if given is None else int(given)
    written = _writer().write(params["prompt"], seed, style)
    return Answer({"prompt": written.prompt, "style": written.style, "seed": seed})


@cache
def _writer() -> TaxonomyWriter:
    return TaxonomyWriter(shipped())


def warm() -> None:
    """Read the styles before somebody waits for them; safe in any thread."""
    _writer()


def _describe(style: Style) -> dict[str, Any]:
    low, high = style.tempo_bpm
    return {
        "id": style.id,
        "name": style.name,
        "group": style.group,
        "description": style.description,
        "min_bpm": low,
        "max_bpm": high,
        "vocal": style.vocal,
        "examples": list(style.examples),
    }
