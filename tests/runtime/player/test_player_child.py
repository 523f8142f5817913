"""The process that plays, over its real pipes, and its output on the null device."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import miniaudio
import msgpack
import numpy as np
import pytest

from lofi_runtime.player import output as output_module
from lofi_runtime.player.audio_devices import list_devices
from lofi_runtime.player.mixer import Item, Mixer
from lofi_runtime.player.output import Output, OutputError
from lofi_runtime.player.player_main import Playing
from lofi_runtime.player.process import PLAYER_COMMAND
from tests.support.played_tracks import write_noise


def play(number: int, path: Path, **changes: Any) -> dict[str, Any]:
    message = {
        "op": "play",
        "item": {"number": number, "path": str(path)},
        "position_sec": 0.0,
        "seeks": 0,
        "queue": [],
        "volume": 1.0,
        "loop": False,
        "crossfade_sec": 0.0,
        "device": "null",
    }
    return message | changes


class Child:
    """The process, with its events as they come."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            PLAYER_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._unpacker = msgpack.Unpacker(raw=False)

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(msgpack.packb(message))
        self.process.stdin.flush()

    def wait_for(self, kind: str) -> dict[str, Any]:
        assert self.process.stdout
        while True:
            for event in self._unpacker:
                if event["event"] == kind:
                    return event
            data = os.read(self.process.stdout.fileno(), 4096)
            assert data, "the child ended"
            self._unpacker.feed(data)

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(5)
        self.process.stdout.close()


@pytest.fixture
def child() -> Iterator[Child]:
    started = Child()
    yield started
    started.close()


def test_it_plays_in_real_time_and_goes_on_by_itself(child: Child, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("1.wav", "2.wav")]
    for path in paths:
        write_noise(path, 1, 24_000)
    child.send(play(1, paths[0], queue=[{"number": 2, "path": str(paths[1])}]))
    assert child.wait_for("position") == {
        "event": "position", "number": 1, "position_sec": pytest.approx(0, abs=0.3), "seeks": 0,
    }  # fmt: skip
    began = time.monotonic()
    ended = {"event": "ended", "message": ""}
    assert child.wait_for("ended") == ended | {"number": 1, "following": 2}
    assert child.wait_for("ended") == ended | {"number": 2, "following": 0}
    assert 0.5 < time.monotonic() - began < 2


def test_a_file_that_is_gone_is_told_by_name(child: Child, tmp_path: Path) -> None:
    child.send(play(1, tmp_path / "gone.wav"))
    told = child.wait_for("failed")
    assert (told["number"], told["code"]) == (1, "AUDIO_PLAYBACK_ERROR")
    assert str(tmp_path / "gone.wav") in told["message"]


def test_a_device_that_is_not_here_is_told_by_name(child: Child, tmp_path: Path) -> None:
    write_noise(tmp_path / "1.wav", 1, 24_000)
    child.send(play(1, tmp_path / "1.wav", device="Moon Base Speakers"))
    told = child.wait_for("failed")
    assert told["code"] == "AUDIO_DEVICE_ERROR"
    assert told["message"].startswith("audio device 'Moon Base Speakers' does not open: ")
    assert "choose another with audio_device_set" in told["message"]
    child.send(play(2, tmp_path / "1.wav"))
    assert child.wait_for("ended")["number"] == 2


def test_it_ends_with_its_pipe_and_within_a_second_of_its_parents_death(tmp_path: Path) -> None:
    write_noise(tmp_path / "1.wav", 1, 480_000)
    parent = f"""
import subprocess, sys, time, msgpack
child = subprocess.Popen({list(PLAYER_COMMAND)!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdin.write(msgpack.packb({play(1, tmp_path / "1.wav")!r}))
child.stdin.flush()
child.stdout.read(1)
print(child.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        process.send_signal(signal.SIGKILL)
        began = time.monotonic()
        while _runs(pid) and time.monotonic() - began < 5:
            time.sleep(0.01)
        assert time.monotonic() - began < 1


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_null_device_gets_the_mixers_samples_to_the_bit(tmp_path: Path) -> None:
    items = [Item(number, tmp_path / f"{number}.wav") for number in (1, 2)]
    for item in items:
        write_noise(item.path, item.number, 14_400)
    heard: list[Any] = []

    def fresh() -> Mixer:
        mixer = Mixer(lambda _: None)
        mixer.set_crossfade(0.1)
        mixer.play(items[0])
        mixer.enqueue(items[1:])
        return mixer

    mixer = fresh()

    def pull(frames: int) -> Any:
        heard.append(mixer.read(frames))
        return heard[-1]

    out = Output("null", pull, lambda: None)
    out.start()
    deadline = time.monotonic() + 5
    while not mixer.is_silent and time.monotonic() < deadline:
        time.sleep(0.02)
    out.close()
    played = np.concatenate(heard)
    assert np.array_equal(played, fresh().read(len(played)))
    assert played[23_999].any()
    assert not played[24_000:].any()


def test_a_device_that_stops_by_itself_is_lost(tmp_path: Path) -> None:
    write_noise(tmp_path / "1.wav", 1, 480_000)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    told: list[dict[str, Any]] = []
    playing = Playing(inbox, told.append)
    playing.obey(play(1, tmp_path / "1.wav"))
    assert playing.output is not None
    # What the system does when a device is unplugged.
    miniaudio.lib.ma_device_stop(playing.output._sink._device)
    message = inbox.get(timeout=2)
    playing.obey(message)
    assert told[-1] == {
        "event": "failed",
        "number": 1,
        "code": "AUDIO_DEVICE_ERROR",
        "message": "audio device 'null' is gone",
    }
    assert playing.output is None


def test_a_device_that_takes_no_more_samples_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "STALL_SEC", 0.3)
    out = Output("null", Mixer(lambda _: None).read, lambda: None)
    out.start()
    time.sleep(0.5)
    assert not out.is_stalled
    out._sink.callback_generator = None
    time.sleep(0.5)
    assert out.is_stalled
    out.close()


def test_a_device_rests_and_starts_again(tmp_path: Path) -> None:
    pulled = threading.Event()

    def pull(frames: int) -> Any:
        pulled.set()
        return np.zeros((frames, 2), np.float32)

    out = Output("null", pull, lambda: pytest.fail("it was stopped, not lost"))
    for _ in range(3):
        out.start()
        assert pulled.wait(2)
        out.stop()
        pulled.clear()
        time.sleep(0.12)
        assert not pulled.is_set()
    out.close()


def test_the_list_of_devices_leaves_silent_ones_out() -> None:
    names = [device.name for device in list_devices()]
    assert not any("Discard all samples" in name or name.startswith("NULL") for name in names)
    assert len(names) == len(set(names))
    with pytest.raises(OutputError):
        Output("no such device", lambda _: np.zeros((0, 2), np.float32), lambda: None)
