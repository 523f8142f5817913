"""Where the mixer's samples go: a device of miniaudio, or its null device in real time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import miniaudio
import numpy as np
import numpy.typing as npt

from lofi_runtime.errors import LofiError
from lofi_runtime.player.audio_devices import list_devices, quiet
from lofi_runtime.player.names import DEFAULT, NULL, SAMPLE_RATE
from lofi_runtime.player.sound import CHANNELS

PERIOD_MSEC, PERIODS = 50, 4
"""200 ms lie ready in the device: enough for a busy machine, little enough that a pause feels
like one."""
STALL_SEC = 2.0
APP_NAME = "lofi"

Pull = Callable[[int], npt.NDArray[np.float32]]
_Samples = Generator[npt.NDArray[np.float32] | bytes, int, None]


class OutputError(LofiError):
    """There is no such device, or it does not open."""


class Output:
    """An open device that stands still until `start`.

    Args:
        device: a name of `list_devices`, "default" or "null".
        pull: `pull(frames)` gives (frames, 2) float32; called in the device's own thread.
        on_lost: called in some other thread when the device stops by itself; `is_lost` then.

    Raises:
        OutputError: names the device and what to do.
    """

    def __init__(self, device: str, pull: Pull, on_lost: Callable[[], None]) -> None:
        self.device = device
        self._pull = pull
        self._on_lost = on_lost
        self.is_lost = False
        self.is_started = False
        self._pulled_at = 0.0
        with quiet():
            self._sink = self._open()

    @property
    def is_stalled(self) -> bool:
        """Whether the device has been started but takes no more samples."""
        return self.is_started and time.monotonic() - self._pulled_at > STALL_SEC

    def start(self) -> None:
        """Let the device pull; nothing happens when it does already.

        Raises:
            OutputError: it does not start.
        """
        if self.is_started:
            return
        samples = self._samples()
        next(samples)
        self._pulled_at = time.monotonic()
        self._sink.stop_callback = self._stopped
        try:
            self._sink.start(samples)
        except miniaudio.MiniaudioError as error:
            raise self._error(error) from error
        self.is_started = True

    def stop(self) -> None:
        """Let the device rest: no wake-ups, no current drawn."""
        if not self.is_started:
            return
        self.is_started = False
        self._sink.stop_callback = None
        try:
            self._sink.stop()
        except miniaudio.MiniaudioError as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Let go of the device."""
        self.is_started = False
        self._sink.stop_callback = None
        self._sink.close()

    def _open(self) -> Any:
        backends, id_ = None, None
        if self.device == NULL:
            backends = [miniaudio.Backend.NULL]
        else:
            here = {device.name: device.id for device in list_devices()}
            if not here or (self.device != DEFAULT and self.device not in here):
                raise self._error("it is not here" if here else "no audio device is here")
            id_ = here.get(self.device)
        try:
            return miniaudio.PlaybackDevice(
                miniaudio.SampleFormat.FLOAT32,
                CHANNELS,
                SAMPLE_RATE,
                buffersize_msec=PERIOD_MSEC,
                device_id=id_,
                callback_periods=PERIODS,
                backends=backends,
                app_name=APP_NAME,
            )
        except miniaudio.MiniaudioError as error:
            raise self._error(error) from error

    def _samples(self) -> _Samples:
        frames = yield b""
        while True:
            self._pulled_at = time.monotonic()
            frames = yield self._pull(frames)

    def _stopped(self) -> None:
        if self.is_started:
            self.is_lost = True
            self._on_lost()

    def _error(self, reason: object) -> OutputError:
        said = reason.args[0] if isinstance(reason, miniaudio.MiniaudioError) else reason
        return OutputError(
            f"audio device {self.device!r} does not open: {said}",
            hint="connect one, or choose another with audio_device_set; audio_devices lists them",
        )
