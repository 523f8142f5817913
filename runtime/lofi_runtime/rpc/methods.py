"""The protocol's methods: each takes a client and checked parameters and answers at once."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lofi_runtime.choosing import AUTO
from lofi_runtime.jobs import QUEUE_LIMIT, Job
from lofi_runtime.requests import specify
from lofi_runtime.rpc.cache_methods import cache_clear, cache_delete, cache_list, cache_stats
from lofi_runtime.rpc.connection import Answer, Connection, Wishes
from lofi_runtime.rpc.definitions import PROTOCOL_VERSION, limits, method_names, notification_names
from lofi_runtime.rpc.download_methods import download_backend, download_cancel
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.playback_methods import PLAYBACK_METHODS
from lofi_runtime.rpc.schema import check_params
from lofi_runtime.rpc.style_methods import expand_prompt, styles
from lofi_runtime.version import VERSION

if TYPE_CHECKING:
    from lofi_runtime.server import Runtime

Params = Mapping[str, Any]
Method = Callable[["Runtime", Connection, Params], Answer]

ALIASES = {"queue_cancel": "cancel"}


def run_method(runtime: Runtime, client: Connection, name: str, params: dict[str, Any]) -> Answer:
    """Check the parameters and run the method.

    Raises:
        RpcError: METHOD_NOT_FOUND, a parameter's refusal, or the method's own.
    """
    known = ALIASES.get(name, name)
    if known not in METHODS:
        near = difflib.get_close_matches(name[:80], METHODS, n=1)
        raise RpcError(
            "METHOD_NOT_FOUND",
            f"there is no method {name[:80]!a}",
            hint=f"did you mean '{near[0]}'?" if near else "capabilities lists the methods",
        )
    return METHODS[known](runtime, client, check_params(known, params))


def ping(_runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Say that the server is there."""
    return Answer(
        {
            "status": "ok",
            "version": VERSION,
            "protocol_version": PROTOCOL_VERSION,
            "pid": os.getpid(),
        }
    )


def capabilities(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Tell what this server can do and within which limits."""
    return Answer(
        {
            "version": VERSION,
            "protocol_version": PROTOCOL_VERSION,
            "methods": sorted([*METHODS, *ALIASES]),
            "notifications": notification_names(),
            "limits": limits(),
            "queue_limit": QUEUE_LIMIT,
            "backends": runtime.downloads.describe(runtime.library.describe()),
            "default_backend": runtime.library.default_backend,
            "features": {"playback": True, "download": True, "edit": True, "lora": True},
        }
    )


def get_backends(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Tell what can generate here."""
    return Answer(
        {
            "backends": runtime.downloads.describe(runtime.library.describe()),
            "default_backend": runtime.library.default_backend,
        }
    )


def generate(runtime: Runtime, client: Connection, params: Params) -> Answer:
    """Queue a track, or answer it from the store."""
    spec, source = specify(params, runtime.library, runtime.store)
    told = {"track_id": spec.track_id, "seed": spec.seed, "backend": spec.backend}
    track = runtime.store.find(spec.track_id)
    # A track that another variant made in this one's place is not what is asked for now.
    if track is not None and track.sidecar["track_id"] == spec.track_id:
        complete = track.to_notification()
        owners = frozenset({client.number})
        return Answer(
            told | {"status": "complete", "position": 0},
            then=lambda: runtime.emit("generation_complete", complete, owners),
        )
    job = runtime.jobs.submit(
        Job(
            spec,
            source,
            is_high=params["priority"] == "high",
            owners={client.number},
            may_fall_back=params["precision"] == AUTO,
        )
    )
    status = "generating" if runtime.jobs.begins_now(job) else "queued"
    return Answer(told | {"status": status, "position": runtime.jobs.position(job)})


def cancel(runtime: Runtime, client: Connection, params: Params) -> Answer:
    """Withdraw the client from a track, which stops it unless others wait for it too.

    A finished, unknown or somebody else's track is no error.
    """
    outcome = runtime.jobs.cancel(params["track_id"], client.number)
    told = {"cancelled": outcome.cancelled, "was_generating": outcome.was_generating}
    withdrawn = outcome.withdrawn
    if withdrawn is None:
        return Answer(told)
    return Answer(told, then=lambda: runtime.tell_one(client, "generation_cancelled", withdrawn))


def queue_status(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Tell what runs and what waits."""
    jobs = runtime.jobs
    pending = [
        {
            "track_id": job.track_id,
            "prompt": job.spec.prompt,
            "position": position,
            "priority": "high" if job.is_high else "normal",
        }
        for position, job in enumerate(jobs.waiting)
    ]
    told: dict[str, Any] = {"pending": pending, "prefetch_pending": runtime.prefetch.pending}
    return Answer(told | ({"current": jobs.current.describe()} if jobs.current else {}))


def queue_clear(runtime: Runtime, client: Connection, _params: Params) -> Answer:
    """Withdraw the client from every track that waits; what runs goes on."""
    outcomes = [
        runtime.jobs.cancel(job.track_id, client.number) for job in list(runtime.jobs.waiting)
    ]
    withdrawn = [one.withdrawn for one in outcomes if one.withdrawn is not None]

    def tell() -> None:
        for params in withdrawn:
            runtime.tell_one(client, "generation_cancelled", params)

    return Answer({"cleared": sum(one.cancelled for one in outcomes)}, then=tell)


def status(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Tell how the whole server does."""
    count, size_bytes = runtime.store.usage()
    backend = runtime.library.default_backend
    told: dict[str, Any] = {
        "version": VERSION,
        "uptime_sec": round(runtime.uptime_sec, 1),
        "clients": len(runtime.clients),
        "queue_length": len(runtime.jobs.waiting),
        "playback": runtime.player.describe(),
        "playlist_length": len(runtime.player.playlist),
        "device": runtime.worker.device or runtime.settings.device,
        "backend": backend,
        "cache": {"count": count, "size_mb": round(size_bytes / 1e6, 2)},
    }
    for info in runtime.library.describe():
        if info["type"] == backend and "model_version" in info:
            told["model_version"] = info["model_version"]
    current = runtime.jobs.current
    return Answer(told | ({"generation": current.describe()} if current else {}))


def subscribe(_runtime: Runtime, client: Connection, params: Params) -> Answer:
    """Choose this connection's notifications."""
    events = params.get("events", notification_names())
    client.wishes = Wishes(params["tracks"], frozenset(events))
    return Answer({"tracks": params["tracks"], "events": list(events)})


def authenticate(_runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Say that the client is in: over TCP its token was checked before this is reached."""
    return Answer({"status": "trusted"})


def shutdown(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Stop the server once this is answered."""
    return Answer({"status": "shutting_down"}, then=runtime.stop)


METHODS: dict[str, Method] = {
    "ping": ping,
    "capabilities": capabilities,
    "get_backends": get_backends,
    "download_backend": download_backend,
    "download_cancel": download_cancel,
    "generate": generate,
    "cancel": cancel,
    "queue_status": queue_status,
    "queue_clear": queue_clear,
    "cache_list": cache_list,
    "cache_stats": cache_stats,
    "cache_delete": cache_delete,
    "cache_clear": cache_clear,
    "styles": styles,
    "expand_prompt": expand_prompt,
    **PLAYBACK_METHODS,
    "status": status,
    "subscribe": subscribe,
    "authenticate": authenticate,
    "shutdown": shutdown,
}


def missing_methods() -> set[str]:
    """Return what the schema and this table do not agree on; for a test."""
    return set(method_names()) ^ set(METHODS)
