"""The mixer: pulls samples out of tracks, one after another, without a gap or a click."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lofi_runtime.player.fades import Fade, Ramp, volume_gain
from lofi_runtime.player.names import SAMPLE_RATE
from lofi_runtime.player.sound import CHANNELS, Frames, Sound, SoundError

SWITCH_FRAMES = SAMPLE_RATE * 30 // 1000
"""30 ms: long enough that no cut clicks, short enough to feel immediate."""


@dataclass(frozen=True)
class Item:
    """One play of a track.

    Args:
        number: its name in events; never used for two plays.
        path: the file.
    """

    number: int
    path: Path


@dataclass(frozen=True)
class Event:
    """What the mixer tells.

    Args:
        kind: "ended", the current track is over or, with a crossfade, no longer the current one;
            "refused", a queued one cannot be opened.
        number: the item's.
        following: the number of the one that became the current one; 0 for none.
        message: why it broke off, or cannot be opened; else "".
    """

    kind: str
    number: int
    following: int = 0
    message: str = ""


Tell = Callable[[Event], None]
"""Called in the thread that reads, with the mixer locked: must return at once."""


class _Voice:
    """A sound on its way to the ear, with the fades over it."""

    def __init__(self, item: Item, position: int = 0) -> None:
        self.item = item
        self.sound = Sound(item.path, position)
        self.problem = ""
        self._fade_in: Fade | None = None
        self._fades_out: list[Fade] = []

    @property
    def left(self) -> int:
        """Frames until its end, or until it has faded out."""
        if self.problem:
            return 0
        return min([self.sound.left, *(fade.left for fade in self._fades_out)])

    @property
    def unbroken(self) -> int:
        """Frames until something about its gain changes."""
        return self._fade_in.left if self._fade_in and self._fade_in.left else self.left

    def fade_in(self, frames: int) -> None:
        self._fade_in = Fade(frames, rising=True) if frames else None

    def fade_out(self, frames: int) -> None:
        """End within so many frames, on top of a longer fade that may have begun."""
        self._fades_out.append(Fade(frames, rising=False))

    def add_to(self, out: Frames) -> None:
        """Add the next frames; a sound that breaks off is over."""
        try:
            block = self.sound.read(len(out))
        except SoundError as error:
            self.problem = str(error)
            return
        fades = [self._fade_in, *self._fades_out] if self._fade_in else self._fades_out
        for fade in fades:
            if fade.left:
                block *= fade.gains(len(out))[: len(block), None]
        out[: len(block)] += block

    def close(self) -> None:
        self.sound.close()


class Mixer:
    """Plays one track, then those that are queued; `read` may run in a thread of its own.

    A queued track begins at the very frame after its predecessor's last one, or, with a crossfade,
    `crossfade_sec` before that (at most half of either track), when it becomes the current one.

    Args:
        tell: hears of each `Event`.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lock = threading.RLock()
        self._current: _Voice | None = None
        self._leaving: list[_Voice] = []
        self._queue: list[_Voice] = []
        self._begun: deque[int] = deque(maxlen=64)
        self._hold = Ramp(1.0)
        self._volume = Ramp(1.0)
        self._crossfade_frames = 0
        self._is_silent = True
        self.loop = False
        """Whether the current track plays again from its start when it ends, without a gap."""

    def read(self, frames: int) -> Frames:
        """Give the next samples, (frames, 2) float32 within -1 to 1; silence when there are none.

        What two loud tracks add up to beyond full scale is clipped.
        """
        out = np.zeros((frames, CHANNELS), dtype=np.float32)
        done = 0
        with self._lock:
            while done < frames and (count := self._unbroken(frames - done)):
                part = out[done : done + count]
                for voice in self._voices():
                    voice.add_to(part)
                part *= np.expand_dims(self._volume.gains(count), -1)
                part *= np.expand_dims(self._hold.gains(count), -1)
                done += count
        return np.clip(out, -1.0, 1.0, out=out)

    @property
    def current(self) -> tuple[int, float] | None:
        """The current track's number and its position in seconds."""
        with self._lock:
            voice = self._current
            return (voice.item.number, voice.sound.position / SAMPLE_RATE) if voice else None

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to hear until the next command."""
        return self._is_silent

    def play(self, item: Item, position_sec: float = 0.0) -> None:
        """Play a track now instead of whatever plays; the queue is emptied.

        What plays fades out meanwhile. The track that plays already just plays on.

        Raises:
            SoundError: it cannot be played; what plays is stopped.
        """
        try:
            voice = _Voice(item, round(position_sec * SAMPLE_RATE))
        except SoundError:
            self.stop()
            raise
        with self._lock:
            self._drop(self._queue)
            self._begun.clear()
            if self._current and self._current.item.number == item.number:
                self._begun.append(item.number)
                voice.close()
            else:
                self._switch(voice)
            self._unhold(0 if self._is_silent else SWITCH_FRAMES)

    def enqueue(self, items: Iterable[Item]) -> None:
        """Say what comes after the current track; what had been queued before is forgotten.

        Those that have begun already are left out, and so, told as "refused", are those that
        cannot be opened.
        """
        items = list(items)
        with self._lock:
            known = {voice.item.number for voice in self._queue} | set(self._begun)
        opened = self._open([item for item in items if item.number not in known])
        with self._lock:
            voices = {voice.item.number: voice for voice in [*self._queue, *opened]}
            begun = set(self._begun)
            self._queue = [
                voices.pop(item.number)
                for item in items
                if item.number in voices and item.number not in begun
            ]
            self._drop(list(voices.values()))

    def pause(self) -> None:
        """Fade out and stand still."""
        with self._lock:
            self._hold.go(0.0, 0 if self._is_silent else SWITCH_FRAMES)

    def resume(self) -> None:
        """Play on, fading in."""
        with self._lock:
            if self._current is not None:
                self._unhold(SWITCH_FRAMES)

    def stop(self) -> None:
        """Fade out and forget the track and the queue."""
        with self._lock:
            self._drop(self._queue)
            self._hush()

    def clear(self) -> None:
        """Forget everything at once: nobody listens any more."""
        with self._lock:
            self._is_silent = True
            self._drop(self._queue)
            self._hush()

    def seek(self, number: int, position_sec: float) -> None:
        """Go to another place in the current track, if it still is the one of that number.

        Raises:
            SoundError: it cannot be decoded.
        """
        with self._lock:
            current = self._current
        if current is None or current.item.number != number:
            return
        voice = _Voice(current.item, round(position_sec * SAMPLE_RATE))
        with self._lock:
            if self._current is current:
                self._switch(voice)
            else:
                voice.close()

    def set_volume(self, level: float) -> None:
        """Set the volume, 0 to 1; see `fades.volume_gain`."""
        with self._lock:
            self._volume.go(volume_gain(level), 0 if self._is_silent else SWITCH_FRAMES)

    def set_crossfade(self, duration_sec: float) -> None:
        """Set how long two tracks overlap; 0 joins them without a gap."""
        with self._lock:
            self._crossfade_frames = round(duration_sec * SAMPLE_RATE)

    def _voices(self) -> Sequence[_Voice]:
        return [*self._leaving, self._current] if self._current else self._leaving

    def _unbroken(self, limit: int) -> int:
        """Settle what ends or begins here; give how many frames there are until the next time."""
        over = [voice for voice in self._leaving if not voice.left]
        self._leaving = [voice for voice in self._leaving if voice.left]
        self._drop(over)
        if self._hold.value == 0.0 and not self._hold.left:
            if self._current is None:
                self._drop(self._leaving)
            self._fall_silent()
            return 0
        self._settle()
        voices = self._voices()
        if not voices:
            self._fall_silent()
            return 0
        counts = [limit, *(voice.unbroken for voice in voices)]
        counts += [ramp.left for ramp in (self._hold, self._volume) if ramp.left]
        if self._current is not None:
            counts.append(self._current.left - self._overlap(self._current))
        return min(counts)

    def _settle(self) -> None:
        """Pass on to the next track, as often as the current one is at its end."""
        while (voice := self._current) is not None:
            overlap = self._overlap(voice)
            if voice.left > overlap:
                return
            if self.loop and not voice.problem and voice.sound.frames:
                self._rewind(voice)
            else:
                self._pass_on(voice, min(overlap, voice.left))

    def _overlap(self, voice: _Voice) -> int:
        """Give how many frames before its end the next track begins."""
        if self.loop or not self._queue:
            return 0
        frames = min(voice.sound.frames // 2, self._queue[0].sound.frames // 2)
        return min(self._crossfade_frames, frames)

    def _rewind(self, voice: _Voice) -> None:
        try:
            voice.sound.seek(0)
        except SoundError as error:
            voice.problem = str(error)

    def _pass_on(self, voice: _Voice, overlap: int) -> None:
        self._leave(voice, overlap)
        self._current = None
        following = self._queue.pop(0) if self._queue else None
        if following is not None:
            following.fade_in(overlap)
            self._begin(following)
        number = following.item.number if following else 0
        self._tell(Event("ended", voice.item.number, number, voice.problem))

    def _switch(self, voice: _Voice) -> None:
        """Make a voice the current one; a short crossfade hides the seam."""
        is_heard = self._current is not None and not self._is_silent
        self._hush()
        # A track that begins in silence begins with its own first sample.
        voice.fade_in(SWITCH_FRAMES if is_heard or voice.sound.position else 0)
        self._begin(voice)

    def _hush(self) -> None:
        """End all that is heard, a long crossfade's tail too, quickly but without a click."""
        if self._is_silent:
            self._drop(self._leaving)
        for voice in self._leaving:
            voice.fade_out(SWITCH_FRAMES)
        if self._current is not None:
            self._leave(self._current, SWITCH_FRAMES)
            self._current = None

    def _begin(self, voice: _Voice) -> None:
        self._current = voice
        self._begun.append(voice.item.number)

    def _leave(self, voice: _Voice, frames: int) -> None:
        if frames and not self._is_silent:
            voice.fade_out(frames)
            self._leaving.append(voice)
        else:
            voice.close()

    def _unhold(self, frames: int) -> None:
        """Let the sound out again, rising for so many frames if it was held back."""
        if self._hold.target == 0.0:
            self._hold.go(1.0, frames)
        self._is_silent = False

    def _fall_silent(self) -> None:
        if not self._is_silent:
            self._is_silent = True
            self._volume.go(self._volume.target, 0)

    def _open(self, items: Iterable[Item]) -> list[_Voice]:
        opened = []
        for item in items:
            try:
                opened.append(_Voice(item))
            except SoundError as error:
                self._tell(Event("refused", item.number, message=str(error)))
        return opened

    def _drop(self, voices: list[_Voice]) -> None:
        for voice in voices:
            voice.close()
        voices.clear()
