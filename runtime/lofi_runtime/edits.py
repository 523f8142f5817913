"""The `edit` of a request: what may be asked of which track, and what of it a track's id holds.

Light: nothing here reads latents. `editing` turns the outcome into frames where the model is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lofi_runtime.library import ACE_STEP
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.sources import Source
from lofi_runtime.track import Track
from lofi_runtime.tracks import TrackStore

RETAKE, REPAINT, EXTEND, AUDIO_TO_AUDIO = "retake", "repaint", "extend", "audio2audio"
FIELDS: Mapping[str, tuple[str, ...]] = {
    RETAKE: ("variance",),
    REPAINT: ("start_sec", "end_sec", "variance"),
    EXTEND: ("left_sec", "right_sec"),
    AUDIO_TO_AUDIO: ("strength",),
}
"""What each mode takes besides the source."""
_DEFAULT_SHARE = 0.5


@dataclass(frozen=True)
class PlannedEdit:
    """An edit whose source was looked at.

    Args:
        record: what the edited track's spec holds: the request's fields, defaults filled in, and
            `source_seed` and `source_sec` of the source.
        duration_sec: of the edited track.
        model: the source's, by the name that `lora` takes.
        release: of that model.
    """

    record: dict[str, Any]
    duration_sec: int
    model: str
    release: str


def plan_edit(asked: Mapping[str, Any] | None, store: TrackStore | None) -> PlannedEdit | None:
    """Look at an edit's source and range; None where nothing is edited.

    Args:
        asked: as the schema let it through.
        store: where the source is.

    Raises:
        RpcError: INVALID_TRACK_ID, there is no such track; INVALID_EDIT, it cannot be edited so.
    """
    if asked is None:
        return None
    mode = asked["mode"]
    for name in asked:
        if name not in ("mode", "track_id", *FIELDS[mode]):
            raise _refused(f"{name}: {mode} takes {', '.join(FIELDS[mode])}, no {name}")
    track = store.find(asked["track_id"]) if store is not None else None
    if track is None or store is None:
        raise RpcError(
            "INVALID_TRACK_ID",
            f"edit.track_id: no finished track {asked['track_id']!r} is in the store",
            hint="cache_list tells those that are",
        )
    track_id, spec = track.sidecar["track_id"], track.sidecar["spec"]
    _check_source(mode, track, has_latents=store.latents_path(track_id).is_file())
    source_sec = int(spec["duration_sec"])
    fields, added_sec = _fields(mode, asked, source_sec)
    record = {
        "mode": mode,
        "track_id": track_id,
        **fields,
        "source_seed": spec["seed"],
        "source_sec": source_sec,
    }
    release = spec["model_version"].rpartition(" ")[2]
    return PlannedEdit(record, source_sec + added_sec, spec.get("lora", ""), release)


def check_model(edit: PlannedEdit, source: Source) -> None:
    """Refuse a model that the source's latents mean nothing to; another variant of it is allowed.

    Raises:
        RpcError: INVALID_EDIT, names both.
    """
    if source.backend != ACE_STEP:
        raise _refused(f"backend {source.backend!r} cannot edit", f"ask for {ACE_STEP!r}")
    found = source.model, source.model_version.rpartition(" ")[2]
    if found != (edit.model, edit.release):
        raise _refused(
            f"track_id: {edit.record['track_id']!r} was made with {edit.model} {edit.release}, and"
            f" this request would use {' '.join(found)}, to which its latents mean nothing",
            f"edit it with lora {edit.model!r}, in any precision",
        )


def _check_source(mode: str, track: Track, *, has_latents: bool) -> None:
    track_id, spec = track.sidecar["track_id"], track.sidecar["spec"]
    if spec["backend"] != ACE_STEP:
        raise _refused(
            f"track_id: {track_id!r} was made by {spec['backend']!r}; only tracks of {ACE_STEP!r}"
            " can be edited"
        )
    # A retake starts from the source's noise; of an edited track that is no seed's alone.
    if mode == RETAKE and spec.get("edit"):
        raise _refused(
            f"track_id: {track_id!r} is an edit itself, of {spec['edit']['track_id']!r}; only what"
            " was made from noise alone can be retaken",
            f"retake that one, or edit this one by {AUDIO_TO_AUDIO}",
        )
    if mode != RETAKE and not has_latents:
        raise _refused(
            f"track_id: the latents of {track_id!r} were not kept, as an older version did",
            "delete it and generate it again",
        )


def _fields(mode: str, asked: Mapping[str, Any], source_sec: int) -> tuple[dict[str, Any], int]:
    """Give the mode's own fields, defaults filled in, and the seconds the track becomes longer."""
    if mode == EXTEND:
        left, right = (int(asked.get(name, 0)) for name in FIELDS[EXTEND])
        if not left + right:
            raise _refused("left_sec and right_sec are both 0: nothing to extend by")
        return {"left_sec": left, "right_sec": right}, left + right
    if mode == AUDIO_TO_AUDIO:
        return {"strength": float(asked.get("strength", _DEFAULT_SHARE))}, 0
    variance = {"variance": float(asked.get("variance", _DEFAULT_SHARE))}
    if mode == RETAKE:
        return variance, 0
    if "start_sec" not in asked and "end_sec" not in asked:
        raise _refused("repaint needs start_sec or end_sec", f"for the whole track use {RETAKE}")
    start, end = float(asked.get("start_sec", 0)), float(asked.get("end_sec", source_sec))
    if not start < end <= source_sec:
        raise _refused(
            f"the range {start:g} to {end:g} s is no part of the source's 0 to {source_sec} s"
        )
    return {"start_sec": start, "end_sec": end, **variance}, 0


def _refused(message: str, hint: str = "") -> RpcError:
    return RpcError("INVALID_EDIT", f"edit: {message}", hint=hint)
