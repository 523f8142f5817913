"""Edits from request to sound: a server's store and library, a real bundle of tiny graphs."""

from __future__ import annotations

import json
from pathlib import Path

import msgpack
import numpy as np
import pytest

from lofi_runtime.ace_step import AceStepBackend
from lofi_runtime.backend import Request
from lofi_runtime.bundle import open_bundle
from lofi_runtime.errors import BackendError
from lofi_runtime.generation import make_track
from lofi_runtime.library import Library
from lofi_runtime.requests import specify
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.schema import check_params
from lofi_runtime.track import Track
from lofi_runtime.tracks import TrackStore
from lofi_runtime.worker import WORKER_COMMAND
from tests.support.rpc_client import RpcFailure
from tests.support.rpc_server import running_server
from tests.support.tiny_bundle import make_tiny_bundle

FRAMES_6_SEC = 65
ASKED = {"prompt": "rain", "seed": 5, "inference_steps": 4, "duration_sec": 6}


class Place:
    """A store, a library of one bundle, and that bundle's backend."""

    def __init__(self, folder: Path) -> None:
        self.bundle = make_tiny_bundle(folder / "models" / "lofi-tiny-fp32")
        self.library = Library(self.bundle.parent)
        self.store = TrackStore(folder / "tracks")
        self.backend = AceStepBackend(open_bundle(self.bundle), threads=1)

    def make(self, **params: object) -> Track:
        """Do what server and worker do for a `generate`."""
        asked = check_params("generate", ASKED | params)
        spec, source = specify(asked, self.library, self.store)
        request = msgpack.unpackb(msgpack.packb(self.store.request_for(spec)))
        part = self.store.part_path(spec.track_id)
        made = make_track(
            self.backend, Request(**request), part, source.license_name, lambda *_: None
        )
        return self.store.keep(
            spec, part, duration_sec=made.duration_sec, generation_time_sec=1.0,
            warnings=list(made.warnings), license_name=source.license_name,
        )  # fmt: skip

    def edit(self, mode: str, *, of: Track, seed: int = 9, **fields: object) -> Track:
        edit = {"mode": mode, "track_id": of.sidecar["track_id"], **fields}
        return self.make(seed=seed, edit=edit)

    def latents(self, track: Track) -> np.ndarray:
        return np.load(self.store.latents_path(track.sidecar["track_id"]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("edits"))


@pytest.fixture(scope="module")
def source(place: Place) -> Track:
    return place.make()


def test_a_track_keeps_its_latents_beside_it(place: Place, source: Track) -> None:
    latents = place.latents(source)
    assert (latents.shape, latents.dtype) == ((1, 8, 16, FRAMES_6_SEC), np.float32)
    path = place.store.latents_path(source.sidecar["track_id"])
    size_bytes = source.path.stat().st_size + path.stat().st_size
    assert place.store.usage()[1] >= size_bytes


def test_a_retake_of_no_variance_is_the_source_again(place: Place, source: Track) -> None:
    same = place.edit("retake", of=source, variance=0)
    np.testing.assert_array_equal(place.latents(same), place.latents(source))
    assert same.sidecar["track_id"] != source.sidecar["track_id"]
    other = place.edit("retake", of=source)
    assert np.abs(place.latents(other) - place.latents(source)).max() > 1e-3


def test_a_repaint_changes_its_range_and_nothing_else(place: Place, source: Track) -> None:
    made = place.edit("repaint", of=source, start_sec=2, end_sec=4.0)
    changed = np.abs(place.latents(made) - place.latents(source)).max(axis=(0, 1, 2)) > 0
    assert np.flatnonzero(changed).tolist() == list(range(21, 43))
    open_end = place.edit("repaint", of=source, start_sec=5)
    changed = np.abs(place.latents(open_end) - place.latents(source)).max(axis=(0, 1, 2)) > 0
    assert np.flatnonzero(changed).tolist() == list(range(53, FRAMES_6_SEC))


@pytest.mark.parametrize(
    ("fields", "seconds", "left"), [({"right_sec": 3}, 9, 0), ({"left_sec": 2}, 8, 22),
                                    ({"left_sec": 2, "right_sec": 2}, 10, 21)],
)  # fmt: skip
def test_an_extension_is_longer_and_keeps_every_frame(
    place: Place, source: Track, fields: dict[str, int], seconds: int, left: int
) -> None:
    made = place.edit("extend", of=source, **fields)
    assert made.sidecar["duration_sec"] == seconds
    latents = place.latents(made)
    assert latents.shape[-1] == -(-seconds * 44_100 // 4096)
    kept = latents[..., left : left + FRAMES_6_SEC]
    np.testing.assert_array_equal(kept, place.latents(source))


def test_audio_to_audio_of_full_strength_is_the_source(place: Place, source: Track) -> None:
    same = place.edit("audio2audio", of=source, strength=1)
    np.testing.assert_array_equal(place.latents(same), place.latents(source))
    far = place.edit("audio2audio", of=source, strength=0.2, seed=10)
    assert np.abs(place.latents(far) - place.latents(source)).max() > 1e-3


def test_the_sidecar_says_how_to_make_an_edit_again(place: Place, source: Track) -> None:
    made = place.edit("repaint", of=source, start_sec=1)
    again, _ = specify(
        check_params("generate", made.sidecar["generate"]), place.library, place.store
    )
    assert again.track_id == made.sidecar["track_id"]
    assert made.sidecar["generate"]["edit"] == {
        "mode": "repaint", "track_id": source.sidecar["track_id"], "start_sec": 1.0,
        "end_sec": 6.0, "variance": 0.5,
    }  # fmt: skip


def test_an_edit_can_be_edited_but_not_retaken(place: Place, source: Track) -> None:
    longer = place.edit("extend", of=source, right_sec=1)
    longest = place.edit("extend", of=longer, right_sec=1, seed=11)
    assert longest.sidecar["duration_sec"] == 8
    with pytest.raises(RpcError, match=r"is an edit itself, of '.*'; only .* - retake that one"):
        place.edit("retake", of=longer)


def test_everything_of_an_edit_is_in_the_id(place: Place, source: Track) -> None:
    ids = {
        place.edit("retake", of=source, variance=0.1).sidecar["track_id"],
        place.edit("retake", of=source, variance=0.2).sidecar["track_id"],
        place.edit("retake", of=source, variance=0.2, seed=10).sidecar["track_id"],
        place.edit("audio2audio", of=source, strength=0.2).sidecar["track_id"],
    }
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("edit", "name", "message"),
    [
        ({"mode": "morph"}, "INVALID_EDIT", "edit.?mode: 'morph' is not one of retake, repaint"),
        ({"mode": "retake", "variance": 2}, "INVALID_EDIT", "variance: 2 is outside 0 to 1"),
        ({"mode": "retake", "strength": 1}, "INVALID_EDIT", "retake takes variance, no strength"),
        ({"mode": "retake", "volume": 1}, "INVALID_PARAMS", "edit has no field 'volume' - it tak"),
        ({"track_id": "0" * 16}, "INVALID_PARAMS", "edit needs the field 'mode'"),
        ({"mode": "retake", "track_id": "x"}, "INVALID_EDIT", "'x' does not look like"),
        ({"mode": "retake", "track_id": "0" * 16}, "INVALID_TRACK_ID", "no finished track '0000"),
        ({"mode": "repaint"}, "INVALID_EDIT", "start_sec or end_sec - for the whole track use ret"),
        ({"mode": "repaint", "end_sec": 7}, "INVALID_EDIT", "0 to 7 s is no part of .* 0 to 6 s"),
        ({"mode": "repaint", "start_sec": 4, "end_sec": 4}, "INVALID_EDIT", "range 4 to 4 s is no"),
        ({"mode": "extend"}, "INVALID_EDIT", "both 0: nothing to extend by"),
        ({"mode": "extend", "left_sec": 235}, "INVALID_DURATION", "241 is outside 1 to 240"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    place: Place, source: Track, edit: dict[str, object], name: str, message: str
) -> None:
    with pytest.raises(RpcError, match=message) as caught:
        place.make(edit={"track_id": source.sidecar["track_id"]} | edit)
    assert caught.value.name == name


def test_the_synthesiser_neither_edits_nor_is_edited(place: Place, source: Track) -> None:
    edit = {"mode": "retake", "track_id": source.sidecar["track_id"]}
    with pytest.raises(RpcError, match="backend 'procedural' cannot edit - ask for 'ace_step'"):
        place.make(edit=edit, backend="procedural")
    spec, _ = specify(
        check_params("generate", ASKED | {"backend": "procedural"}), place.library, place.store
    )
    part = place.store.part_path(spec.track_id)
    part.write_bytes(b"x")
    track = place.store.keep(spec, part, duration_sec=6, generation_time_sec=0, warnings=[])
    with pytest.raises(RpcError, match="was made by 'procedural'; only tracks of 'ace_step' can"):
        place.edit("retake", of=track)


def test_another_model_is_refused_and_another_precision_is_not(tmp_path: Path) -> None:
    place = Place(tmp_path)
    made = place.make()
    sidecar = place.store.folder / f"{made.sidecar['track_id']}.json"
    edit = {"mode": "extend", "track_id": made.sidecar["track_id"], "right_sec": 1}

    def pretend(**changes: str) -> None:
        spec = made.sidecar["spec"] | changes
        sidecar.write_text(json.dumps(made.sidecar | {"spec": spec}))

    pretend(precision="int4", model_version="lofi-tiny-int4 0.0.1")
    specify(check_params("generate", ASKED | {"edit": edit}), place.library, place.store)
    pretend(model_version="lofi-tiny-fp32 0.0.2")
    with pytest.raises(RpcError, match=r"made with lofi-tiny 0.0.2, and this .* lofi-tiny 0.0.1, "):
        specify(check_params("generate", ASKED | {"edit": edit}), place.library, place.store)


def test_a_server_and_its_worker_edit_a_track(tmp_path: Path) -> None:
    make_tiny_bundle(tmp_path / "models" / "lofi-tiny-fp32")
    options = {"worker_command": WORKER_COMMAND, "audio_format": "flac"}
    with running_server(tmp_path, **options) as server, server.connect() as client:
        assert client.call("capabilities")["features"]["edit"] is True
        first = client.call("generate", **ASKED)
        done = client.wait_for("generation_complete", "generation_error")
        assert done["event"] == "generation_complete", done
        edit = {"mode": "extend", "track_id": first["track_id"], "right_sec": 2}
        client.call("generate", **ASKED, edit=edit)
        done = client.wait_for("generation_complete", "generation_error")
        assert done["event"] == "generation_complete", done
        assert (done["duration_sec"], Path(done["path"]).suffix) == (8.0, ".flac")
        again = client.call("generate", **ASKED, edit=edit)
        assert (again["status"], again["track_id"]) == ("complete", done["track_id"])
        (listed,) = (
            track
            for track in client.call("cache_list")["tracks"]
            if track["track_id"] == done["track_id"]
        )
        assert listed["generate"]["edit"] == edit | {"left_sec": 0}
        with pytest.raises(RpcFailure, match="edit: backend 'procedural' cannot edit") as caught:
            client.call("generate", **ASKED, edit=edit, backend="procedural")
        assert caught.value.error["code"] == -32029


def test_a_source_without_latents_can_only_be_retaken(tmp_path: Path) -> None:
    place = Place(tmp_path)
    made = place.make()
    place.store.latents_path(made.sidecar["track_id"]).unlink()
    place.edit("retake", of=made)
    with pytest.raises(RpcError, match=r"latents of '.*' were not kept.* generate it again"):
        place.edit("extend", of=made, right_sec=1)


def test_latents_that_vanish_or_change_before_the_work_are_named(tmp_path: Path) -> None:
    place = Place(tmp_path)
    made = place.make()
    path = place.store.latents_path(made.sidecar["track_id"])
    edit = {
        "mode": "audio2audio", "strength": 0.5, "source_seed": 5, "source_sec": 6,
        "latents": str(path),
    }  # fmt: skip
    request = Request("rain", 6, 9, inference_steps=2, edit=edit)
    for content, message in (
        (b"", "no latents"),
        (b"\x93NUMPY", "no latents"),
        (None, "are gone, it was deleted - make the source again"),
    ):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(BackendError, match=message):
            place.backend.generate(request, lambda *_: None)
    for wrong, message in (
        (np.zeros((1, 8, 16, 64), np.float32), r"of shape \(1, 8, 16, 64\), must be \(1, 8, 16, 6"),
        (np.full((1, 8, 16, 65), np.nan, np.float32), "not finite float32"),
    ):
        np.save(path, wrong)
        with pytest.raises(BackendError, match=message):
            place.backend.generate(request, lambda *_: None)
