"""What plays, as the server knows it: every question is answered from here, at once.

The child does as it is told and tells where it is; what it tells of a play that is over already is
left unheard. Notifications go out once the answer that caused them was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lofi_runtime.player.clock import Clock
from lofi_runtime.player.deck import IDLE_SEC, Deck
from lofi_runtime.player.device_list import LOOK_COMMAND, DeviceList
from lofi_runtime.player.names import DEFAULT
from lofi_runtime.player.playlist import Entry, Playlist
from lofi_runtime.player.process import PLAYER_COMMAND
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.track import Track

AHEAD = 2
"""How many tracks the child has open before their time."""

STOPPED, PLAYING, PAUSED = "stopped", "playing", "paused"

Emit = Callable[[str, dict[str, Any]], None]


class Player:
    """Plays one track at a time, then the playlist; runs in the event loop.

    Args:
        emit: sends a notification to everybody.
        device: an audio device's name, "default" or "null".
        idle_sec: see `deck.IDLE_SEC`.
        command: how to start the child.
        look_command: how to list the devices.
    """

    def __init__(
        self,
        emit: Emit,
        *,
        device: str = DEFAULT,
        idle_sec: float = IDLE_SEC,
        command: tuple[str, ...] = PLAYER_COMMAND,
        look_command: tuple[str, ...] = LOOK_COMMAND,
    ) -> None:
        self._emit = emit
        self.deck = Deck(command, idle_sec, self._hear, self._die)
        self.devices = DeviceList(
            look_command, device, lambda told: self._tell("audio_devices_changed", told)
        )
        self.playlist = Playlist()
        self.state = STOPPED
        self.current: Entry | None = None
        self.volume, self.loop, self.crossfade_sec = 1.0, False, 0.0
        self.waits_for_more = False
        """Whether the playlist has ended before a track that is on its way to it."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when something else plays or waits than before."""
        self.expects_more: Callable[[], bool] = lambda: False
        """Whether a track is on its way to the playlist."""
        self.last: Entry | None = None
        self._clock = Clock()
        self._seeks = 0

    @property
    def position_sec(self) -> float:
        """Where in the current track playing is, carried on from where the child last was."""
        if self.current is None:
            return 0.0
        at_sec, duration_sec = self._clock.read(), self.current.duration_sec
        if self.loop and duration_sec > 0 and at_sec > duration_sec:
            return at_sec % duration_sec
        return min(at_sec, duration_sec)

    def describe(self) -> dict[str, Any]:
        """Return the playback state as the protocol has it."""
        told: dict[str, Any] = {
            "state": self.state,
            "volume": self.volume,
            "loop": self.loop,
            "crossfade_sec": self.crossfade_sec,
            "playlist_length": len(self.playlist),
        }
        if self.current is not None:
            told["duration_sec"] = self.current.duration_sec
            told |= self._place(self.current)
        return told

    def play(self, track: Track, track_id: str) -> None:
        """Play a track now; the playlist goes on after it.

        Raises:
            RpcError: AUDIO_DEVICE_ERROR, there is nothing to play it on.
        """
        self._begin(self.playlist.make_entry(track, track_id))

    def start(self) -> None:
        """Play what is there: go on, or begin the playlist, or play the last track again.

        Raises:
            RpcError: AUDIO_PLAYBACK_ERROR, there is nothing; AUDIO_DEVICE_ERROR as of `play`.
        """
        if self.state == PLAYING:
            return
        if self.state == PAUSED:
            self.resume()
            return
        self.devices.check()
        entry = self.playlist.take_next() or self.last
        if entry is None:
            raise RpcError(
                "AUDIO_PLAYBACK_ERROR",
                "there is nothing to play",
                hint="name a track with play, or add one with playlist_add",
            )
        self._begin(self.playlist.renumber(entry))

    def pause(self) -> None:
        """Stand still; nothing happens unless something plays."""
        if self.state == PLAYING and self.current is not None:
            self._stand_still(PAUSED)
            self.deck.tell("pause")
            self._tell("playback_paused", self._place(self.current))

    def resume(self) -> None:
        """Go on after a pause; nothing happens without one.

        Raises:
            RpcError: AUDIO_DEVICE_ERROR as of `play`.
        """
        if self.state != PAUSED or self.current is None:
            return
        self.devices.check()
        self.state = PLAYING
        self.deck.keep()
        if self.deck.loaded == self.current.number:
            self.deck.tell("resume")
        else:
            self._load(self.current)
        self._tell("playback_resumed", self._place(self.current))
        self.on_change()

    def stop(self) -> None:
        """Stop; the playlist stays."""
        self._end("stopped")
        self.waits_for_more = False

    def skip(self) -> None:
        """Go on to the playlist's next track; stop when there is none."""
        if self.current is None:
            return
        following = self.playlist.take_next()
        if following is not None:
            self._begin(following)
        else:
            self._end("skipped")

    def seek(self, position_sec: float) -> None:
        """Go to another place in the current track.

        Raises:
            RpcError: AUDIO_PLAYBACK_ERROR, nothing plays; INVALID_PARAMS, it is not that long.
        """
        if self.current is None:
            raise RpcError("AUDIO_PLAYBACK_ERROR", "nothing plays", hint="play a track first")
        if position_sec > self.current.duration_sec:
            raise RpcError(
                "INVALID_PARAMS",
                f"position_sec: {position_sec:g} is outside 0 to "
                f"{self.current.duration_sec:g}, the length of the track",
            )
        self._clock.put(position_sec, runs=self._clock.runs)
        self._seeks += 1
        if self.deck.loaded == self.current.number:
            where = {"number": self.current.number, "position_sec": position_sec}
            self.deck.tell("seek", seeks=self._seeks, **where)

    def add(self, track: Track, track_id: str) -> None:
        """Put a track at the end of the playlist.

        Raises:
            RpcError: QUEUE_FULL.
        """
        self.playlist.add(self.playlist.make_entry(track, track_id))
        if self.waits_for_more and not self.devices.lacks_chosen:
            self.start()
        else:
            self.sync()

    def sync(self) -> None:
        """Pass on what comes next, after the playlist has changed."""
        if self.deck.loaded:
            self.deck.tell("queue", queue=self._queue())
        self.on_change()

    def set(self, **changes: float) -> None:
        """Change `volume` (0 to 1), `loop` or `crossfade_sec`."""
        if "loop" in changes:
            self._clock.put(self.position_sec, runs=self._clock.runs)
        for name, value in changes.items():
            setattr(self, name, value)
        self.deck.tell("set", **changes)
        self.on_change()

    def set_device(self, device: str) -> None:
        """Play through another device from now on.

        Raises:
            RpcError: AUDIO_DEVICE_ERROR, there is none of that name.
        """
        self.devices.choose(device)
        self.deck.tell("device", device=device)

    async def close(self) -> None:
        """End the child."""
        self.state, self.current = STOPPED, None
        await asyncio.gather(self.deck.close(), self.devices.close())

    def _begin(self, entry: Entry) -> None:
        """Play an entry instead of what plays."""
        self.devices.check()
        if self.current is not None:
            self._tell_end(self.current, "skipped")
        self._load_first(entry)
        self.on_change()

    def _load_first(self, entry: Entry) -> None:
        self._become(entry)
        self.state = PLAYING
        self.deck.keep()
        self._load(entry)

    def _become(self, entry: Entry) -> None:
        self.current = self.last = entry
        self.waits_for_more = False
        self._clock.put(0.0, runs=False)
        told = {"track_id": entry.track_id, "position_sec": 0.0}
        self._tell("playback_started", told | {"duration_sec": entry.duration_sec})

    def _load(self, entry: Entry) -> None:
        """Let the child play an entry from where playing is, with everything it has to know."""
        self.deck.load(
            entry.number,
            {
                "item": entry.to_item(),
                "position_sec": self.position_sec,
                "seeks": self._seeks,
                "queue": self._queue(),
                "volume": self.volume,
                "loop": self.loop,
                "crossfade_sec": self.crossfade_sec,
                "device": self.devices.chosen,
            },
        )

    def _queue(self) -> list[dict[str, Any]]:
        return [entry.to_item() for entry in self.playlist.entries[:AHEAD]]

    def _end(self, reason: str, **why: str) -> None:
        """Stop what plays."""
        if self.current is None:
            return
        self._tell_end(self.current, reason, **why)
        self._stand_still(STOPPED)
        self.current = None
        self.deck.unload()
        self.waits_for_more = reason != "stopped" and self.expects_more()
        self.on_change()

    def _stand_still(self, state: str) -> None:
        self._clock.put(self.position_sec, runs=False)
        self.state = state
        self.deck.rest()

    def _hear(self, event: dict[str, Any]) -> None:
        """Take what the child tells."""
        if event["event"] == "refused":
            self._hear_refused(event)
        elif self.current is not None and event["number"] == self.current.number:
            match event["event"]:
                case "position":
                    self._hear_position(event, self.current)
                case "ended":
                    self._hear_ended(event, self.current)
                case "failed":
                    self._hear_failed(event)

    def _hear_position(self, event: dict[str, Any], current: Entry) -> None:
        if event["seeks"] != self._seeks:
            return
        if self.state == PLAYING:
            self._clock.put(event["position_sec"], runs=True)
            told = self._place(current) | {"duration_sec": current.duration_sec}
            self._tell("playback_progress", told)

    def _hear_ended(self, event: dict[str, Any], current: Entry) -> None:
        """Follow the child to the next track, or lead it there if it knew of none."""
        if event["message"]:
            self._tell_end(current, "error", code="AUDIO_PLAYBACK_ERROR", message=event["message"])
        else:
            self._tell_end(current, "finished")
        self.current = None
        followed = self.playlist.take(event["following"])
        entry = followed or self.playlist.take_next()
        if entry is None:
            self.deck.unload()
            self._finish()
        elif followed is not None:
            self._become(entry)
            self.deck.loaded = entry.number
            self._clock.put(0.0, runs=self.state == PLAYING)
            self.sync()
        elif self.state == PLAYING:
            self._load_first(entry)
            self.on_change()
        else:
            self._become(entry)
            self.deck.unload()
            self.on_change()

    def _hear_failed(self, event: dict[str, Any]) -> None:
        why = {"code": event["code"], "message": event["message"]}
        if event["code"] == "AUDIO_DEVICE_ERROR":
            self.devices.look()
        following = None
        if event["code"] == "AUDIO_PLAYBACK_ERROR" and self.state == PLAYING:
            following = self.playlist.take_next()
        if following is None or self.current is None:
            self._end("error", **why)
        else:
            self._tell_end(self.current, "error", **why)
            self._load_first(following)
            self.on_change()

    def _hear_refused(self, event: dict[str, Any]) -> None:
        entry = self.playlist.take(event["number"])
        if entry is not None:
            why = {"code": "AUDIO_PLAYBACK_ERROR", "message": event["message"]}
            self._tell_end(entry, "error", **why)
            self.sync()

    def _finish(self) -> None:
        self._stand_still(STOPPED)
        self.waits_for_more = self.expects_more()
        self.on_change()

    def _die(self, how: str) -> None:
        """Take the child's end: what plays is over, what stands still is played anew."""
        if self.state == PLAYING:
            message = f"the playing process ended ({how}) - play again"
            self._end("error", code="AUDIO_PLAYBACK_ERROR", message=message)

    def _place(self, entry: Entry) -> dict[str, Any]:
        return {"track_id": entry.track_id, "position_sec": round(self.position_sec, 3)}

    def _tell_end(self, entry: Entry, reason: str, **why: str) -> None:
        self._tell("playback_ended", {"track_id": entry.track_id, "reason": reason, **why})

    def _tell(self, event: str, params: dict[str, Any]) -> None:
        asyncio.get_running_loop().call_soon(self._emit, event, params)
