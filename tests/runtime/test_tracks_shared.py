"""Several runtimes on one store: real processes that write, find, delete and shrink at once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lofi_runtime import store_lock
from lofi_runtime.audio_format import AudioFormat
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.store_lock import locked
from lofi_runtime.track import Track, TrackSpec
from lofi_runtime.tracks import TrackStore, latents_part

SPEC = TrackSpec(
    prompt="rain", duration_sec=5, seed=0, lyrics="", style="", backend="procedural",
    model_version="procedural 1",
)  # fmt: skip
SPECS = [replace(SPEC, seed=seed) for seed in range(12)]
FORMS = (AudioFormat("wav", 16), AudioFormat("flac", 24), AudioFormat("mp3", None))
WORK_SEC = 1.5


def keep(store: TrackStore, spec: TrackSpec, content: bytes) -> Track:
    part = store.part_path(spec.track_id)
    part.write_bytes(content)
    latents_part(part).write_bytes(content)
    return store.keep(spec, part, duration_sec=5.0, generation_time_sec=1.0, warnings=[])


def work(folder: Path, number: int) -> int:
    """Do anything to a few tracks until the time is over; returns how many calls were made."""
    store, rng = TrackStore(folder, FORMS[number % 3]), random.Random(number)
    until, done = time.monotonic() + WORK_SEC, 0
    while time.monotonic() < until:
        done += 1
        spec = rng.choice(SPECS)
        match rng.randrange(8):
            case 0 | 1 | 2:
                keep(store, spec, rng.randbytes(rng.randrange(1, 5000)))
            case 3 | 4:
                found = store.find(spec.track_id)
                assert found is None or found.to_notification()["track_id"] == spec.track_id
            case 5:
                store.delete(spec.track_id)
            case 6:
                store.shrink(20_000, 8)
            case _:
                store.sweep()
                assert all(track.sidecar["size_bytes"] > 0 for track in store.tracks())
                store.usage()
    return done


def test_many_processes_leave_one_store_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.runtime.test_tracks_shared", str(tmp_path)]
    processes = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(4)
    ]
    for process in processes:
        said, failure = process.communicate(timeout=60)
        assert (process.returncode, failure) == (0, b"")
        assert int(said) > 10
    store, names = TrackStore(tmp_path), {path.name for path in tmp_path.iterdir()}
    kept = {track.path.name for track in store.tracks()}
    # Each sidecar has exactly one sound of just its size, and latents; nothing else lies there.
    for name in sorted(names):
        if name.endswith(".json"):
            sidecar = json.loads((tmp_path / name).read_text())
            assert f"{sidecar['track_id']}.{sidecar['audio_format']}" in kept
    assert len(names) == 3 * len(kept)
    assert len(kept) == store.usage()[0] > 0
    for track in store.tracks():
        assert store.latents_path(track.sidecar["track_id"]).read_bytes() == track.path.read_bytes()


def test_a_store_that_another_program_keeps_for_itself_is_a_write_error_and_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TrackStore(tmp_path)
    kept = keep(store, SPEC, b"RIFF")
    monkeypatch.setattr(store_lock, "PATIENCE_SEC", 0.05)
    with locked(tmp_path):
        for write in (
            lambda: keep(store, SPECS[1], b"RIFF"),
            lambda: store.delete(SPEC.track_id),
            lambda: store.shrink(0, 0),
        ):
            with pytest.raises(RpcError, match=r"another program has held its lock for 0.05 s"):
                write()
        store.sweep()
        assert store.find(SPEC.track_id) == kept
    assert store.delete(SPEC.track_id) == 8


def test_a_writer_that_was_killed_lets_go_of_the_store(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from lofi_runtime.store_lock import locked\n"
        f"with locked(Path({str(tmp_path)!r})): print(flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with locked(tmp_path):
        assert list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    print(work(Path(sys.argv[1]), int(sys.argv[2])))
