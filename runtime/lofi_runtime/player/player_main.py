"""The child process that plays: `python -m lofi_runtime.player.player_main`.

msgpack maps on stdin; end of file ends the process at once:

    {op: play, item: {number, path}, position_sec, seeks, queue: [item, ...],
     volume, loop, crossfade_sec, device}     play this now; everything about playing is in it
    {op: queue, queue}  {op: pause}  {op: resume}  {op: stop}  {op: device, device}
    {op: seek, number, position_sec, seeks}   `seeks` counts them, and comes back with positions
    {op: set, volume, loop, crossfade_sec}    what is left out stays

On stdout:

    {event: position, number, position_sec, seeks}  once a second while a device pulls
    {event: ended, number, following, message}      see `mixer.Event`
    {event: refused, number, message}               a queued track cannot be opened
    {event: failed, number, code, message}          the device or the current track; all is silent
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgpack

from lofi_runtime.child_process import die_with_parent, take_pipes
from lofi_runtime.player.mixer import Event, Item, Mixer
from lofi_runtime.player.output import Output, OutputError
from lofi_runtime.player.sound import SoundError

TICK_SEC = 0.1
POSITION_EVERY_SEC = 1.0
REST_AFTER_SEC = 0.5
"""How long a device still pulls silence: what lay in it when the sound ended is heard to its end,
and two commands in a row do not stop and start it."""

Message = Mapping[str, Any]
Send = Callable[[dict[str, Any]], None]


def main() -> int:
    """Play until the parent closes the pipe; returns the exit code."""
    die_with_parent()
    source, sink = take_pipes()
    inbox: queue.SimpleQueue[Message | Event] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(source, inbox), daemon=True).start()
    Playing(inbox, lambda event: _write(sink, event)).run()
    return 0


class Playing:
    """Carries out messages in the main thread, while the device pulls in its own.

    Args:
        inbox: the parent's messages; the mixer's events are put there too.
        send: tells the parent.
    """

    def __init__(self, inbox: queue.SimpleQueue[Message | Event], send: Send) -> None:
        self._inbox = inbox
        self._send = send
        self._mixer = Mixer(inbox.put)
        self.output: Output | None = None
        self._device = ""
        self._number = self._seeks = 0
        self._told_at = self._sounded_at = 0.0

    def run(self) -> None:
        """Work for ever."""
        while True:
            # Without a device at work there is nothing to look after until the next message.
            timeout = TICK_SEC if self.output is not None and self.output.is_started else None
            try:
                entry = self._inbox.get(timeout=timeout)
            except queue.Empty:
                self._tick()
                continue
            if isinstance(entry, Event):
                self._pass_on(entry)
            else:
                self.obey(entry)

    def obey(self, message: Message) -> None:
        """Carry out one message; what cannot be done is told."""
        try:
            self._carry_out(message)
        except SoundError as error:
            self._fail("AUDIO_PLAYBACK_ERROR", str(error))
        except OutputError as error:
            self._fail("AUDIO_DEVICE_ERROR", str(error))

    def _carry_out(self, message: Message) -> None:
        match message["op"]:
            case "play":
                self._play(message)
            case "queue":
                self._mixer.enqueue(_items(message["queue"]))
            case "pause":
                self._mixer.pause()
            case "resume":
                self._sound()
                self._mixer.resume()
                self._tell_position()
            case "stop":
                self._mixer.stop()
            case "seek":
                self._seeks = message["seeks"]
                self._mixer.seek(message["number"], message["position_sec"])
                self._tell_position()
            case "set":
                self._set(message)
            case "device":
                self._change_device(message["device"])
            case "lost" if self.output is not None and self.output.is_lost:
                self._fail("AUDIO_DEVICE_ERROR", f"audio device {self._device!r} is gone")

    def _play(self, message: Message) -> None:
        self._set(message)
        self._device = message["device"]
        (item,) = _items([message["item"]])
        self._number, self._seeks = item.number, message["seeks"]
        self._mixer.play(item, message["position_sec"])
        self._mixer.enqueue(_items(message["queue"]))
        self._sound()
        self._tell_position()

    def _set(self, message: Message) -> None:
        if "volume" in message:
            self._mixer.set_volume(message["volume"])
        if "loop" in message:
            self._mixer.loop = message["loop"]
        if "crossfade_sec" in message:
            self._mixer.set_crossfade(message["crossfade_sec"])

    def _sound(self) -> None:
        """Let the wanted device pull."""
        if self.output is not None and self.output.device != self._device:
            self._close_output()
        if self.output is None:
            self.output = Output(self._device, self._mixer.read, self._lose)
        self.output.start()
        self._sounded_at = time.monotonic()

    def _change_device(self, device: str) -> None:
        self._device = device
        if not self._mixer.is_silent:
            self._sound()
        elif self.output is not None:
            self._close_output()

    def _lose(self) -> None:
        self._inbox.put({"op": "lost"})

    def _pass_on(self, event: Event) -> None:
        told: dict[str, Any] = {"event": event.kind, "number": event.number}
        if event.kind == "ended":
            told["following"] = event.following
            self._number = event.following
        self._send(told | {"message": event.message})

    def _tick(self) -> None:
        now = time.monotonic()
        if self.output is not None and self.output.is_stalled:
            message = f"audio device {self._device!r} takes no more sound"
            self._fail("AUDIO_DEVICE_ERROR", message)
        elif not self._mixer.is_silent:
            self._sounded_at = now
            if now - self._told_at >= POSITION_EVERY_SEC:
                self._tell_position()
        elif self.output is not None and now - self._sounded_at > REST_AFTER_SEC:
            self.output.stop()

    def _tell_position(self) -> None:
        self._told_at = time.monotonic()
        current = self._mixer.current
        if current is not None:
            number, position_sec = current
            self._send(
                {
                    "event": "position",
                    "number": number,
                    "position_sec": position_sec,
                    "seeks": self._seeks,
                }
            )

    def _fail(self, code: str, message: str) -> None:
        self._mixer.stop()
        if code == "AUDIO_DEVICE_ERROR":
            self._close_output()
            self._mixer.clear()
        self._send({"event": "failed", "number": self._number, "code": code, "message": message})

    def _close_output(self) -> None:
        output, self.output = self.output, None
        if output is not None:
            output.close()


def _items(records: Sequence[Message]) -> list[Item]:
    return [Item(record["number"], Path(record["path"])) for record in records]


def _listen(source: int, inbox: queue.SimpleQueue[Message | Event]) -> None:
    unpacker = msgpack.Unpacker(raw=False)
    while data := os.read(source, 1 << 16):
        unpacker.feed(data)
        for message in unpacker:
            inbox.put(message)
    # The parent is gone or wants an end: sound does not outlive it.
    os._exit(0)


def _write(sink: int, event: dict[str, Any]) -> None:
    frame = msgpack.packb(event)
    while frame:
        frame = frame[os.write(sink, frame) :]


if __name__ == "__main__":
    raise SystemExit(main())
