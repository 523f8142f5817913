"""The protocol's methods over the track store: list, count, delete."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lofi_runtime.rpc.connection import Answer, Connection
from lofi_runtime.track import Track

if TYPE_CHECKING:
    from lofi_runtime.server import Runtime

Params = Mapping[str, Any]


def cache_list(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Tell the tracks of the store, the one used last first."""
    tracks = runtime.store.tracks(params["limit"])
    count = runtime.store.usage()[0]
    return Answer({"tracks": [_describe(track) for track in tracks], "count": count})


def cache_stats(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Tell how much the store holds, since when, and how much it may hold."""
    times, size_bytes = runtime.store.used_times(), runtime.store.usage()[1]
    settings = runtime.settings
    told: dict[str, Any] = {
        "count": len(times),
        "size_mb": _megabytes(size_bytes),
        "max_mb": settings.tracks_max_mb,
        "max_count": settings.tracks_max_count,
    }
    if times:
        told |= {"oldest": _moment(min(times)), "newest": _moment(max(times))}
    return Answer(told)


def cache_delete(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Delete one track; one that is not there is no error."""
    return Answer({"deleted": runtime.store.delete(params["track_id"]) > 0})


def cache_clear(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Delete every track of the store; what lies beside them stays."""
    freed = [runtime.store.delete(track_id) for track_id in runtime.store.ids()]
    return Answer({"deleted": sum(size > 0 for size in freed), "freed_mb": _megabytes(sum(freed))})


def _describe(track: Track) -> dict[str, Any]:
    sidecar = track.sidecar
    spec = sidecar["spec"]
    told = {key: spec[key] for key in ("prompt", "lyrics", "style", "seed", "backend")}
    return told | {
        "track_id": sidecar["track_id"],
        "path": str(track.path),
        "duration_sec": sidecar["duration_sec"],
        "sample_rate": sidecar["sample_rate"],
        "size_bytes": sidecar["size_bytes"],
        "model_version": spec["model_version"],
        "license": sidecar.get("license", ""),
        "made_at": sidecar["made_at"],
        "generate": sidecar["generate"],
    }


def _megabytes(size_bytes: int) -> float:
    return round(size_bytes / 1e6, 2)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
