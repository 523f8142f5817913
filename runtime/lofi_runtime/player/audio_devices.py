"""Lists where sound can go: `python -m lofi_runtime.player.audio_devices`, msgpack on stdout.

A process of its own each time: what a sound library does while it looks around (hang, crash, keep
a connection) then concerns nobody.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgpack

from lofi_runtime.child_process import die_with_parent
from lofi_runtime.player.names import SAMPLE_RATE

if TYPE_CHECKING:
    from types import ModuleType

_ALSA_NULL = b"null\0"


@dataclass(frozen=True)
class Device:
    """One place sound can go.

    Args:
        name: as the system calls it; the second of the same name ends in " (2)".
        is_default: whether it is where sound goes that is sent nowhere in particular.
        sample_rate: its own, in Hz; 48000 where the system does not say.
        id: for the sound library.
    """

    name: str
    is_default: bool
    sample_rate: int
    id: Any = None

    def to_wire(self) -> dict[str, Any]:
        """Return it as `audio_devices` tells it."""
        return {
            "name": self.name,
            "is_default": self.is_default,
            "sample_rate": self.sample_rate,
        }


def list_devices() -> list[Device]:
    """Return the devices one can hear, the null device left out; empty where there is none."""
    import miniaudio

    with quiet():
        try:
            context = miniaudio.Devices()
        except miniaudio.MiniaudioError:
            return []
        if context.backend == "Null":
            return []
        return _unique(_read(miniaudio, context))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what C libraries say about missing sound cards off stderr."""
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _read(miniaudio: ModuleType, context: Any) -> Iterator[Device]:
    # miniaudio's own listing leaves out which one is the default, and fails when one is busy.
    ffi, lib = miniaudio.ffi, miniaudio.lib
    found, count = ffi.new("ma_device_info **"), ffi.new("ma_uint32 *")
    result = lib.ma_context_get_devices(context._context, found, count, ffi.NULL, ffi.NULL)
    if result != lib.MA_SUCCESS:
        return
    for index in range(count[0]):
        info = found[0][index]
        id_ = ffi.new("ma_device_id *", info.id)
        # ALSA lists its own silent device where there is no sound card at all.
        if context.backend == "ALSA" and bytes(ffi.buffer(id_)).startswith(_ALSA_NULL):
            continue
        name = ffi.string(info.name).decode(errors="replace")
        yield Device(name, bool(info.isDefault), _sample_rate(miniaudio, context, info), id_)


def _sample_rate(miniaudio: ModuleType, context: Any, info: Any) -> int:
    ffi, lib = miniaudio.ffi, miniaudio.lib
    kind = miniaudio.DeviceType.PLAYBACK.value
    result = lib.ma_context_get_device_info(
        context._context, kind, ffi.addressof(info.id), ffi.addressof(info)
    )
    if result != lib.MA_SUCCESS or not info.nativeDataFormatCount:
        return SAMPLE_RATE
    return int(info.nativeDataFormats[0].sampleRate) or SAMPLE_RATE


def _unique(devices: Iterator[Device]) -> list[Device]:
    seen: dict[str, int] = {}
    told = []
    for device in devices:
        times = seen[device.name] = seen.get(device.name, 0) + 1
        name = f"{device.name} ({times})" if times > 1 else device.name
        told.append(Device(name, device.is_default, device.sample_rate, device.id))
    return told


def main() -> int:
    """Write the list; returns the exit code."""
    die_with_parent()
    # miniaudio imports NumPy where it finds it, which would be most of this process's life.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    found = list_devices()
    sys.stdout.buffer.write(msgpack.packb([device.to_wire() for device in found]))
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
