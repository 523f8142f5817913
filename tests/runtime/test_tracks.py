"""A track's id is what shapes its sound; the store keeps whole tracks only."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lofi_runtime.audio_format import AudioFormat
from lofi_runtime.library import PROCEDURAL_SOURCE, Library
from lofi_runtime.requests import specify
from lofi_runtime.rpc.definitions import parameters
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.schema import check_params
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.track import Track, TrackSpec
from lofi_runtime.tracks import TrackStore, latents_part
from tests.support.tiny_bundle import make_tiny_bundle

SPEC = TrackSpec(
    prompt="rain",
    duration_sec=30,
    seed=7,
    lyrics="",
    style="",
    backend="ace_step",
    model_version="lofi-nano-int8 1.0.0",
    precision="int8",
    inference_steps=27,
    scheduler="euler",
    guidance_scale=15.0,
)


def keep(store: TrackStore, spec: TrackSpec = SPEC, content: bytes = b"RIFF") -> Track:
    part = store.part_path(spec.track_id)
    part.write_bytes(content)
    return store.keep(spec, part, duration_sec=30.0, generation_time_sec=1.5, warnings=["w"])


def test_an_id_is_16_lowercase_hex_digits_and_stays_the_same() -> None:
    assert SPEC.track_id == replace(SPEC).track_id
    assert len(SPEC.track_id) == 16
    assert set(SPEC.track_id) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Rain"},
        {"duration_sec": 31},
        {"seed": 8},
        {"lyrics": "la"},
        {"style": "SEASON-06"},
        {"style_tags": "autumn"},
        {"backend": "procedural"},
        {"model_version": "lofi-nano-int8 1.0.1"},
        {"precision": "int4"},
        {"inference_steps": 28},
        {"scheduler": "heun"},
        {"guidance_scale": 15.5},
        {"model_identity": "0123456789abcdef"},
        {"pipeline_version": 2},
    ],
)
def test_whatever_shapes_the_sound_changes_the_id(change: dict[str, object]) -> None:
    assert replace(SPEC, **change).track_id != SPEC.track_id


def test_a_kept_track_is_found_whole_with_its_sidecar(tmp_path: Path) -> None:
    store = TrackStore(tmp_path / "tracks")
    kept = keep(store)
    found = store.find(SPEC.track_id)
    assert found == kept
    sidecar = json.loads((tmp_path / "tracks" / f"{SPEC.track_id}.json").read_text())
    assert sidecar["ai_generated"] is True
    assert sidecar["spec"]["model_version"] == "lofi-nano-int8 1.0.0"
    assert sorted(os.listdir(store.folder)) == [f"{SPEC.track_id}.json", f"{SPEC.track_id}.wav"]
    assert store.usage() == (1, 4)


def test_what_the_sidecar_says_to_ask_makes_the_same_request(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "models" / "lofi-tiny-fp32")
    library = Library(bundle.parent)
    asked = {"prompt": "rain", "style": "SEASON-06", "seed": 7, "precision": "fp32"}
    spec, _ = specify(check_params("generate", asked), library)
    track = keep(TrackStore(tmp_path / "tracks"), spec)
    again, _ = specify(check_params("generate", track.sidecar["generate"]), library)
    assert again.track_id == spec.track_id


@pytest.mark.parametrize("damage", ["no sidecar", "cut audio", "broken sidecar", "other format"])
def test_a_damaged_track_does_not_exist(tmp_path: Path, damage: str) -> None:
    store = TrackStore(tmp_path)
    track = keep(store)
    sidecar = tmp_path / f"{SPEC.track_id}.json"
    if damage == "no sidecar":
        sidecar.unlink()
    elif damage == "cut audio":
        track.path.write_bytes(b"RI")
    elif damage == "broken sidecar":
        sidecar.write_text("{")
    else:
        sidecar.write_text(json.dumps(track.sidecar | {"format": 99}))
    assert store.find(SPEC.track_id) is None


@pytest.mark.parametrize("form", [AudioFormat("flac", 24), AudioFormat("mp3", None)])
def test_a_track_is_found_in_whatever_format_it_was_written(
    tmp_path: Path, form: AudioFormat
) -> None:
    kept = keep(TrackStore(tmp_path, form))
    store = TrackStore(tmp_path)
    found = store.find(SPEC.track_id)
    assert found == kept
    assert found.path.name == f"{SPEC.track_id}.{form.name}"
    assert found.audio_format == form
    assert (store.usage(), store.ids()) == ((1, 4), [SPEC.track_id])
    assert store.shrink(0, 0) == [SPEC.track_id]
    assert list(tmp_path.iterdir()) == []


def test_writing_a_track_in_another_format_leaves_one_sound(tmp_path: Path) -> None:
    keep(TrackStore(tmp_path))
    keep(TrackStore(tmp_path, AudioFormat("flac", 16)))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".flac", ".json"]


def test_a_second_sound_beside_a_whole_track_is_swept_once_it_is_old(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    track = keep(store)
    for kind in ("flac", "mp3"):
        lost = track.path.with_suffix(f".{kind}")
        lost.write_bytes(b"x")
        os.utime(lost, (0, 0))
    os.utime(track.path, (0, 0))
    store.sweep()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".wav"]


def test_a_sidecar_that_lost_its_sound_is_swept_once_it_is_old(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    keep(store).path.unlink()
    sidecar = tmp_path / f"{SPEC.track_id}.json"
    store.sweep()
    assert sidecar.exists()
    os.utime(sidecar, (0, 0))
    store.sweep()
    assert list(tmp_path.iterdir()) == []


def test_latents_come_and_go_with_their_track_and_count(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    part = store.part_path(SPEC.track_id)
    latents_part(part).write_bytes(b"12345678")
    keep(store)
    assert store.latents_path(SPEC.track_id).read_bytes() == b"12345678"
    assert store.usage() == (1, 12)
    keep(store)  # made again, by what has no latents now
    assert not store.latents_path(SPEC.track_id).exists()
    store.latents_path(SPEC.track_id).write_bytes(b"12345678")
    assert store.delete(SPEC.track_id) == 12
    latents_part(part).write_bytes(b"1")
    store.discard(part)
    assert list(tmp_path.iterdir()) == []


def test_a_sidecar_that_names_a_foreign_file_is_no_track(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    track = keep(store)
    (tmp_path / "x").write_bytes(b"RIFF")
    for name in ("../x", "x", 7, None):
        changed = json.dumps(track.sidecar | {"audio_format": name})
        (tmp_path / f"{SPEC.track_id}.json").write_text(changed)
        assert store.find(SPEC.track_id) is None


def test_parts_of_dead_writers_are_swept_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    child = subprocess.Popen(["true"])
    child.wait()
    alive = store.part_path(SPEC.track_id)
    dead = tmp_path / alive.name.replace(str(os.getpid()), str(child.pid))
    # What `write_audio` and `keep` leave when they are killed.
    nested = tmp_path / f".{alive.name}.{child.pid}.part"
    sidecar = tmp_path / f".{SPEC.track_id}.json.{child.pid}.part"
    foreign = tmp_path / f".my-song.{child.pid}.part"
    for part in (dead, nested, sidecar, alive, foreign):
        part.write_bytes(b"x")
    store.sweep()
    assert sorted(tmp_path.iterdir()) == sorted([alive, foreign])


def test_sound_without_a_sidecar_does_not_count_and_is_swept_once_it_is_old(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    orphan, own = tmp_path / f"{SPEC.track_id}.wav", tmp_path / "my-song.wav"
    for path in (orphan, own):
        path.write_bytes(b"RIFF")
    assert store.usage() == (0, 0)
    store.sweep()
    assert orphan.exists()
    for path in (orphan, own):
        os.utime(path, (0, 0))
    store.sweep()
    assert list(tmp_path.iterdir()) == [own]


def test_a_full_disk_leaves_neither_sound_nor_sidecar(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    part = store.part_path(SPEC.track_id)
    part.write_bytes(b"RIFF")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # a write past this fails
    try:
        with pytest.raises(RpcError, match="cannot write to the track store") as caught:
            store.keep(SPEC, part, duration_sec=30.0, generation_time_sec=1.5, warnings=[])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.name == "CACHE_WRITE_ERROR"
    store.discard(part)
    assert list(tmp_path.iterdir()) == []


def test_a_sidecar_that_cannot_take_its_place_takes_the_sound_with_it(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    (tmp_path / f"{SPEC.track_id}.json").mkdir()
    with pytest.raises(RpcError, match="cannot write to the track store"):
        keep(store)
    assert [path.name for path in tmp_path.iterdir()] == [f"{SPEC.track_id}.json"]


def test_two_bundles_of_one_name_and_release_make_two_tracks(tmp_path: Path) -> None:
    ids = set()
    for seed in (7, 8):
        bundle = make_tiny_bundle(tmp_path / str(seed) / "lofi-tiny-fp32", seed=seed)
        asked = check_params("generate", {"prompt": "rain", "seed": 1})
        spec, source = specify(asked, Library(tmp_path, bundle))
        assert source.model_identity == spec.model_identity
        ids.add(spec.track_id)
    assert len(ids) == 2


def test_a_store_that_cannot_be_made_is_a_write_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RpcError, match="cannot write to the track store") as caught:
        TrackStore(tmp_path / "file" / "tracks").part_path("0" * 16)
    assert caught.value.name == "CACHE_WRITE_ERROR"


def test_steps_do_not_change_a_procedural_track(tmp_path: Path) -> None:
    library = Library(tmp_path)
    ids = set()
    for steps in (5, 50):
        params = {"prompt": "x", "seed": 1, "inference_steps": steps}
        ids.add(specify(check_params("generate", params), library)[0].track_id)
    assert len(ids) == 1


def test_an_unknown_style_is_refused_with_the_nearest(tmp_path: Path) -> None:
    params = check_params("generate", {"prompt": "x", "style": "SEASON-99"})
    with pytest.raises(RpcError, match="there is no style 'SEASON-99' - did you mean") as caught:
        specify(params, Library(tmp_path))
    assert caught.value.code == -32022


def test_a_style_is_written_into_the_prompt_of_a_model_within_its_limit(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "lofi-tiny-fp32")
    library = Library(tmp_path, bundle)
    limit = parameters("generate")["prompt"]["maxBytes"]
    for style_id in load_styles():
        for prompt in ("rain", "x" * 980):
            params = check_params("generate", {"prompt": prompt, "style": style_id})
            request = specify(params, library)[0].to_request()
            assert request["prompt"].startswith(prompt)
            assert len(request["prompt"].encode()) <= limit
    params = check_params("generate", {"prompt": "rain", "style": "SEASON-02"})
    assert "sleigh bells" in specify(params, library)[0].to_request()["prompt"]
    params = check_params("generate", params | {"backend": "procedural"})
    assert specify(params, library)[0].to_request()["prompt"] == "rain"


def test_the_procedural_source_is_what_the_backend_says_of_itself() -> None:
    from lofi_runtime.synth.backend import ProceduralBackend

    backend = ProceduralBackend()
    assert PROCEDURAL_SOURCE.model_version == backend.model_version
    assert PROCEDURAL_SOURCE.min_duration_sec == backend.min_duration_sec
    assert PROCEDURAL_SOURCE.max_duration_sec == backend.max_duration_sec


def keep_many(store: TrackStore, count: int, size: int = 100) -> list[str]:
    """Keep tracks that were used a second apart, the first one longest ago."""
    ids = []
    for number in range(count):
        track = keep(store, replace(SPEC, seed=number), b"x" * size)
        os.utime(track.path, (1_000_000 + number, 1_000_000 + number))
        ids.append(track.sidecar["track_id"])
    return ids


def test_tracks_are_listed_the_last_used_first_and_listing_is_no_use(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    ids = keep_many(store, 3)
    (tmp_path / "mine.wav").write_bytes(b"a user's own")
    assert [track.sidecar["track_id"] for track in store.tracks()] == ids[::-1] == store.ids()
    assert sorted(store.used_times()) == [1_000_000, 1_000_001, 1_000_002]
    store.find(ids[0])
    assert store.ids()[0] == ids[0]


@pytest.mark.parametrize(
    ("max_bytes", "max_count", "left"), [(250, 99, 2), (10_000, 3, 3), (10_000, 99, 5), (0, 0, 1)]
)
def test_what_was_used_longest_ago_goes_until_both_limits_hold(
    tmp_path: Path, max_bytes: int, max_count: int, left: int
) -> None:
    store = TrackStore(tmp_path)
    ids = keep_many(store, 5)
    gone = store.shrink(max_bytes, max_count, keep=ids[4])
    assert gone == ids[: 5 - left]
    assert store.ids() == ids[5 - left :][::-1]
    assert len(list(tmp_path.iterdir())) == 2 * left


def test_the_track_that_was_just_made_stays_though_it_is_the_oldest(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    ids = keep_many(store, 3)
    assert store.shrink(100, 1, keep=ids[0]) == ids[1:]
    assert store.find(ids[0]) is not None


def test_deleting_frees_its_bytes_once_and_leaves_other_files_alone(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    (one,) = keep_many(store, 1)
    (tmp_path / "notes.txt").write_text("mine")
    assert [store.delete(one), store.delete(one)] == [100, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_a_killed_worker_was_writing_is_discarded_with_its_part(tmp_path: Path) -> None:
    store = TrackStore(tmp_path)
    part = store.part_path("0" * 16)
    part.with_name(f".{part.name}.4711.part").write_bytes(b"half")
    store.discard(part)
    assert list(tmp_path.iterdir()) == []
