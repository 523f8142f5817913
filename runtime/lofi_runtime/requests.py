"""From the parameters of `generate` to what will be made and by what."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from lofi_runtime.library import AUTO, PROCEDURAL, Library, Source
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.styles import find_style, style_tags
from lofi_runtime.tracks import TrackSpec

RANDOM_SEED_LIMIT = 2**31


def specify(params: Mapping[str, Any], library: Library) -> tuple[TrackSpec, Source]:
    """Decide what a request makes: backend, variant, seed.

    Args:
        params: checked, with the schema's defaults filled in.
        library: what is installed.

    Raises:
        RpcError: the backend is not installed, the duration is outside its range, or there is no
            such style.
    """
    style = find_style(params["style"])
    source = library.pick(params.get("backend"), params.get("precision", AUTO))
    duration_sec = params["duration_sec"]
    if not source.min_duration_sec <= duration_sec <= source.max_duration_sec:
        raise RpcError(
            "INVALID_DURATION",
            f"duration_sec: {duration_sec} is outside {source.min_duration_sec} to "
            f"{source.max_duration_sec}, the range of backend {source.backend!r}",
        )
    seed = params.get("seed")
    shape: dict[str, Any] = {}
    # The synthesiser does not denoise: asking it for more steps makes the same track.
    if source.backend != PROCEDURAL:
        shape = {
            "inference_steps": params["inference_steps"],
            "scheduler": params["scheduler"],
            "guidance_scale": float(params["guidance_scale"]),
            "style_tags": style_tags(style, params["prompt"]) if style else "",
        }
    spec = TrackSpec(
        prompt=params["prompt"],
        duration_sec=duration_sec,
        seed=secrets.randbelow(RANDOM_SEED_LIMIT) if seed is None else seed,
        lyrics=params["lyrics"],
        style=params["style"],
        backend=source.backend,
        model_version=source.model_version,
        precision=source.precision,
        **shape,
    )
    return spec, source
