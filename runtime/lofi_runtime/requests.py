"""From the parameters of `generate` to what will be made and by what."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from lofi_runtime.choosing import AUTO
from lofi_runtime.edits import PlannedEdit, check_model, plan_edit
from lofi_runtime.errors import StyleError
from lofi_runtime.library import ACE_STEP, PROCEDURAL, Library
from lofi_runtime.pipeline import VERSION as PIPELINE_VERSION
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.sources import Source
from lofi_runtime.styles.prompts import style_tags
from lofi_runtime.styles.taxonomy import Style, find_style, load_styles
from lofi_runtime.track import TrackSpec
from lofi_runtime.tracks import TrackStore

RANDOM_SEED_LIMIT = 2**31


def specify(
    params: Mapping[str, Any], library: Library, store: TrackStore | None = None
) -> tuple[TrackSpec, Source]:
    """Decide what a request makes: backend, variant, seed.

    Args:
        params: checked, with the schema's defaults filled in.
        library: what is installed.
        store: where an edit's source is; None where nothing is edited.

    Raises:
        RpcError: the backend is not installed, the duration is outside its range, there is no such
            style, or an edit's source cannot be edited so.
    """
    style = chosen_style(params["style"])
    edit = plan_edit(params.get("edit"), store)
    source = _pick(params, library, edit)
    duration_sec = edit.duration_sec if edit else params["duration_sec"]
    if not source.min_duration_sec <= duration_sec <= source.max_duration_sec:
        raise RpcError(
            "INVALID_DURATION",
            f"duration_sec: {duration_sec} is outside {source.min_duration_sec} to "
            f"{source.max_duration_sec}, the range of backend {source.backend!r}",
        )
    given = params.get("seed")
    seed = secrets.randbelow(RANDOM_SEED_LIMIT) if given is None else int(given)
    shape: dict[str, Any] = {}
    # The synthesiser does not denoise: asking it for more steps makes the same track.
    if source.backend != PROCEDURAL:
        shape = {
            "inference_steps": params["inference_steps"],
            "scheduler": params["scheduler"],
            "guidance_scale": float(params["guidance_scale"]),
            "pipeline_version": PIPELINE_VERSION,
            "style_tags": style_tags(style, params["prompt"], seed) if style else "",
        }
    spec = TrackSpec(
        prompt=params["prompt"],
        duration_sec=duration_sec,
        seed=seed,
        lyrics=params["lyrics"],
        style=params["style"],
        backend=source.backend,
        model_version=source.model_version,
        precision=source.precision,
        lora=source.model,
        model_identity=source.model_identity,
        edit=edit.record if edit else None,
        **shape,
    )
    return spec, source


def _pick(params: Mapping[str, Any], library: Library, edit: PlannedEdit | None) -> Source:
    """Pick what is asked for; an edit goes to the model of its source unless told otherwise."""
    backend, lora = params.get("backend"), params.get("lora", "")
    if edit is not None:
        backend, lora = backend or ACE_STEP, lora or edit.model
    source = library.pick(backend, params.get("precision", AUTO), lora)
    if edit is not None:
        check_model(edit, source)
    return source


def with_source(spec: TrackSpec, source: Source) -> TrackSpec:
    """Give the same track as another variant of its model makes it."""
    return replace(
        spec,
        model_version=source.model_version,
        precision=source.precision,
        lora=source.model,
        model_identity=source.model_identity,
    )


def chosen_style(style_id: str) -> Style | None:
    """Find the style a request names; None for an empty id.

    Raises:
        RpcError: INVALID_STYLE, names the nearest one.
    """
    if not style_id:
        return None
    try:
        return find_style(shipped(), style_id, "style")
    except StyleError as error:
        raise RpcError("INVALID_STYLE", str(error)) from error


@cache
def shipped() -> Mapping[str, Style]:
    """Give the styles that come with the program, read once."""
    return load_styles()
