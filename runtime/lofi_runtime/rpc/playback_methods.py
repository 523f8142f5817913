"""The protocol's methods over the player: each answers at once with what the server knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lofi_runtime.rpc.connection import Answer, Connection
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.track import Track

if TYPE_CHECKING:
    from lofi_runtime.server import Runtime

Params = Mapping[str, Any]


def play(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Play a finished track, or without one go on with what is there."""
    if "track_id" in params:
        track_id = params["track_id"]
        runtime.player.play(_finished(runtime, track_id), track_id)
    else:
        runtime.player.start()
    return _state(runtime)


def pause(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Stand still."""
    runtime.player.pause()
    return _state(runtime)


def resume(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Go on after a pause."""
    runtime.player.resume()
    return _state(runtime)


def toggle(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Pause what plays, else play."""
    if runtime.player.state == "playing":
        runtime.player.pause()
    else:
        runtime.player.start()
    return _state(runtime)


def stop(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Stop; the playlist stays."""
    runtime.player.stop()
    return _state(runtime)


def skip(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Go on to the next track of the playlist."""
    runtime.player.skip()
    return _state(runtime)


def seek(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Go to another place in the track."""
    runtime.player.seek(params["position_sec"])
    return _state(runtime)


def loop_set(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Let the current track play again and again, or no longer."""
    runtime.player.set(loop=params["enabled"])
    return _state(runtime)


def volume_get(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Tell how loud it plays."""
    return _state(runtime)


def volume_set(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Play louder or softer."""
    runtime.player.set(volume=params["level"])
    return _state(runtime)


def crossfade_set(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Let the playlist's tracks overlap."""
    runtime.player.set(crossfade_sec=params["duration_sec"])
    return _state(runtime)


def audio_devices(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Tell the devices as of the last look, and look again."""
    runtime.player.devices.look()
    return Answer(runtime.player.devices.describe())


def audio_device_set(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Play through another device."""
    runtime.player.set_device(params["device"])
    return Answer(runtime.player.devices.describe())


def playlist_add(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Put a finished track at the end of the playlist."""
    track_id = params["track_id"]
    runtime.player.add(_finished(runtime, track_id), track_id)
    return _state(runtime)


def playlist_remove(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Take a track out of the playlist; one that is not in it is no error."""
    runtime.player.playlist.remove(params["track_id"])
    runtime.player.sync()
    return _state(runtime)


def playlist_clear(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Empty the playlist; what plays goes on."""
    runtime.player.playlist.clear()
    runtime.player.sync()
    return _state(runtime)


def playlist_get(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Tell what plays and what comes after it."""
    player = runtime.player
    told: dict[str, Any] = {"tracks": [entry.to_wire() for entry in player.playlist.entries]}
    return Answer(told | ({"current": player.current.to_wire()} if player.current else {}))


def prefetch_config(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Say whether and how the music goes on by itself."""
    runtime.prefetch.configure(params)
    return Answer(runtime.prefetch.describe())


PLAYBACK_METHODS: dict[str, Callable[[Runtime, Connection, Params], Answer]] = {
    "play": play,
    "pause": pause,
    "resume": resume,
    "toggle": toggle,
    "stop": stop,
    "skip": skip,
    "seek": seek,
    "loop_set": loop_set,
    "volume_get": volume_get,
    "volume_set": volume_set,
    "crossfade_set": crossfade_set,
    "audio_devices": audio_devices,
    "audio_device_set": audio_device_set,
    "playlist_add": playlist_add,
    "playlist_remove": playlist_remove,
    "playlist_clear": playlist_clear,
    "playlist_get": playlist_get,
    "prefetch_config": prefetch_config,
}


def _state(runtime: Runtime) -> Answer:
    return Answer(runtime.player.describe())


def _finished(runtime: Runtime, track_id: str) -> Track:
    """Find a track that can be played.

    Raises:
        RpcError: INVALID_TRACK_ID, it is unknown or not finished yet.
    """
    track = runtime.store.find(track_id)
    if track is not None:
        return track
    job = runtime.jobs.find(track_id)
    if job is None:
        raise RpcError(
            "INVALID_TRACK_ID",
            f"track_id: there is no track {track_id} in the store",
            hint="cache_list lists those there are; generate makes another",
        )
    how_far = f"{job.meter.percent} % done" if job is runtime.jobs.current else "waiting"
    raise RpcError(
        "INVALID_TRACK_ID",
        f"track_id: track {track_id} is still being generated ({how_far})",
        hint="wait for its generation_complete",
    )
