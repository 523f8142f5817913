"""Pulling from folders: what is checked, what is kept, what nobody ever sees half-made."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lofi_runtime.bundle import MANIFEST_NAME, open_bundle
from lofi_runtime.hub.errors import DownloadError
from lofi_runtime.hub.folder import FolderRepository
from lofi_runtime.hub.pull import ASIDE, Pulled, PullProgress, alone, pull
from lofi_runtime.hub.repository import open_repository
from lofi_runtime.library import Library
from tests.support.published import change_manifest, make_bundle, publish
from tests.support.small_disk import mounted_disk

WEIGHTS = "transformer_decoder_weights.bin"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "published"
    make_bundle(folder / "lofi-tiny-int8")
    return publish(folder)


@pytest.fixture
def published(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "published")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


class Watched(FolderRepository):
    """Notes what is fetched and from where on; may fail at a file."""

    def __init__(self, folder: Path, fails_at: str = "", after_bytes: int = 0) -> None:
        super().__init__(folder)
        self.fetched: dict[str, int] = {}
        self._fails_at, self._after_bytes = fails_at, after_bytes

    def fetch(self, file: str, part: Path, size_bytes: int, on_size: Callable) -> None:
        self.fetched[file.rpartition("/")[2]] = part.stat().st_size if part.exists() else 0
        if self._fails_at and file.endswith(self._fails_at):
            part.write_bytes((self._folder / file).read_bytes()[: self._after_bytes])
            raise DownloadError(f"{file}: the connection was lost")
        super().fetch(file, part, size_bytes, on_size)


def install(published: Path, models: Path, **options: object) -> Pulled:
    return pull(open_repository(str(published)), models, **options)


def refused(published: Path, models: Path, **options: object) -> str:
    with pytest.raises(DownloadError) as caught:
        install(published, models, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.name == "MODEL_DOWNLOAD_FAILED"
    return str(caught.value)


def visible(models: Path) -> list[str]:
    return sorted(path.name for path in models.glob("*") if not path.name.startswith("."))


def test_a_published_bundle_is_installed_whole_and_verified(published: Path, models: Path) -> None:
    heard: list[PullProgress] = []
    pulled = install(published, models, on_progress=heard.append)
    assert (pulled.folder, pulled.was_installed) == (models / "lofi-tiny-int8", False)
    assert open_bundle(pulled.folder).verified
    assert [source.precision for source in Library(models).installed()] == ["int8"]
    done = [progress.bytes_done for progress in heard]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, pulled.manifest.size_bytes)
    assert heard[-1].components_done == heard[-1].components_total == len(pulled.manifest.files)
    assert not any((models / ASIDE).glob("lofi-tiny-int8/*"))


def test_one_bundles_own_folder_is_a_source_too(published: Path, models: Path) -> None:
    assert install(published / "lofi-tiny-int8", models).folder == models / "lofi-tiny-int8"


def test_the_same_release_is_found_installed_and_not_fetched_again(
    published: Path, models: Path
) -> None:
    install(published, models)
    again = Watched(published)
    assert pull(again, models).was_installed
    assert again.fetched == {}


def test_a_damaged_installed_bundle_is_mended_by_fetching_what_is_damaged(
    published: Path, models: Path
) -> None:
    folder = install(published, models).folder
    (folder / WEIGHTS).write_bytes(b"short")
    repository = Watched(published)
    assert not pull(repository, models).was_installed
    assert {file for file, begin in repository.fetched.items() if begin == 0} == {WEIGHTS}
    assert open_bundle(folder).verified


def test_a_flipped_byte_in_an_installed_bundle_is_mended_too(published: Path, models: Path) -> None:
    folder = install(published, models).folder
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert not pull(Watched(published), models).was_installed
    assert open_bundle(folder).verified


def test_a_new_release_takes_only_the_files_that_differ(published: Path, models: Path) -> None:
    install(published, models)
    make_bundle(published / "lofi-tiny-int8", seed=8, version="2.0.0")
    publish(published)
    repository = Watched(published)
    pulled = pull(repository, models)
    assert pulled.manifest.version == "2.0.0"
    assert open_bundle(pulled.folder).version == "2.0.0"
    sizes = {file: record.size_bytes for file, record in pulled.manifest.files.items()}
    copied = {file for file, begin in repository.fetched.items() if begin == sizes[file]}
    assert copied == {"dcae_decoder.onnx", "tokenizer.json", "lyric_vocabulary.json"} | (
        copied & {"transformer_decoder.onnx"}
    )


def test_an_older_release_stays_until_the_new_one_is_whole(published: Path, models: Path) -> None:
    install(published, models)
    make_bundle(published / "lofi-tiny-int8", seed=8, version="2.0.0")
    publish(published)
    with pytest.raises(DownloadError, match="connection was lost"):
        pull(Watched(published, WEIGHTS, 100), models)
    assert open_bundle(models / "lofi-tiny-int8").version == "1.0.0"
    assert visible(models) == ["lofi-tiny-int8"]
    assert [source.model_version for source in Library(models).installed()] == [
        "lofi-tiny-int8 1.0.0"
    ]


def test_what_came_before_a_failure_is_not_fetched_again(published: Path, models: Path) -> None:
    with pytest.raises(DownloadError):
        pull(Watched(published, WEIGHTS, 100), models)
    assert visible(models) == []
    assert Library(models).installed() == Library(models).damaged() == []
    repository = Watched(published)
    pull(repository, models)
    assert repository.fetched[WEIGHTS] == 100
    assert "dcae_decoder.onnx" not in repository.fetched


def test_a_half_made_file_of_another_release_is_not_resumed(published: Path, models: Path) -> None:
    with pytest.raises(DownloadError):
        pull(Watched(published, WEIGHTS, 100), models)
    make_bundle(published / "lofi-tiny-int8", seed=8, version="2.0.0")
    publish(published)
    repository = Watched(published)
    assert open_bundle(pull(repository, models).folder).version == "2.0.0"
    assert repository.fetched[WEIGHTS] == 0


def test_a_half_made_file_that_was_damaged_is_fetched_anew(published: Path, models: Path) -> None:
    with pytest.raises(DownloadError):
        pull(Watched(published, WEIGHTS, 100), models)
    (part,) = (models / ASIDE / "lofi-tiny-int8").glob(f".{WEIGHTS}.*")
    part.write_bytes(bytes(100))
    assert open_bundle(install(published, models).folder).verified


def test_a_file_whose_sha256_differs_is_refused_and_the_older_bundle_stays(
    published: Path, models: Path
) -> None:
    install(published, models)
    make_bundle(published / "lofi-tiny-int8", seed=8, version="2.0.0")
    publish(published)
    path = published / "lofi-tiny-int8" / WEIGHTS
    path.write_bytes(bytes(path.stat().st_size))
    said = refused(published, models)
    assert f"{WEIGHTS}: sha256 " in said
    assert " expected - ask again" in said
    assert open_bundle(models / "lofi-tiny-int8").version == "1.0.0"


def test_a_file_of_another_size_is_refused_by_its_sizes(published: Path, models: Path) -> None:
    path = published / "lofi-tiny-int8" / WEIGHTS
    size_bytes = path.stat().st_size
    path.write_bytes(b"short")
    assert f"5 bytes found, {size_bytes} expected" in refused(published, models)


@pytest.mark.parametrize(
    "file", ["../evil.onnx", "/etc/evil.onnx", "a/b.onnx", ".hidden.onnx", "evil.onnx\n"]
)
def test_a_manifest_that_names_a_path_outside_the_bundle_is_refused(
    published: Path, models: Path, file: str
) -> None:
    add_file(published, file)
    assert repr(file) in refused(published, models)
    assert visible(models) == []
    assert not (models / "evil.onnx").exists()


@pytest.mark.parametrize("file", ["model.pkl", "pytorch_model.bin", "run.py"])
def test_a_manifest_that_lists_what_could_be_a_program_is_refused(
    published: Path, models: Path, file: str
) -> None:
    add_file(published, file)
    assert f"'{file}' may not be in a bundle, only .onnx" in refused(published, models)


def add_file(published: Path, file: str) -> None:
    path = published / "lofi-tiny-int8" / MANIFEST_NAME
    files = json.loads(path.read_text())["files"]
    change_manifest(path.parent, files=files | {file: {"sha256": "0" * 64, "size_bytes": 1}})
    publish(published)


def test_a_link_that_leads_out_of_the_source_is_refused(published: Path, models: Path) -> None:
    path = published / "lofi-tiny-int8" / WEIGHTS
    moved = path.rename(published.parent / "elsewhere.bin")
    path.symlink_to(moved)
    assert "leads out of" in refused(published, models)


def test_a_manifest_that_is_not_the_indexs_is_refused(published: Path, models: Path) -> None:
    change_manifest(published / "lofi-tiny-int8", version="9.9.9")
    said = refused(published, models)
    assert "lofi-tiny-int8/manifest.json: sha256 " in said
    assert "half published" in said


def test_a_manifest_of_another_bundle_or_format_is_refused(published: Path, models: Path) -> None:
    folder = published / "lofi-tiny-int8"
    change_manifest(folder, name="lofi-other-int8")
    assert "describes 'lofi-other-int8', not 'lofi-tiny-int8'" in refused(
        publish(published), models
    )
    change_manifest(folder, name="lofi-tiny-int8", format=2)
    assert "format 2, this version reads 1 - upgrade" in refused(publish(published), models)


def test_a_bundle_for_a_newer_onnx_runtime_is_refused_before_it_comes(
    published: Path, models: Path
) -> None:
    change_manifest(published / "lofi-tiny-int8", oldest_onnxruntime="99.1")
    assert "needs ONNX Runtime 99.1 or newer" in refused(publish(published), models)


def test_what_was_not_pulled_is_never_replaced(published: Path, models: Path) -> None:
    mine = models / "lofi-tiny-int8" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert "something lies there that was not pulled - move it away" in refused(published, models)
    assert mine.read_text() == "mine"


def test_a_bundle_that_another_process_pulls_is_refused(published: Path, models: Path) -> None:
    models.mkdir()
    with alone(models, "lofi-tiny-int8"):
        assert "another process is installing or removing it" in refused(published, models)
    assert install(published, models).folder.is_dir()


def test_too_little_room_is_told_in_bytes_before_anything_comes(
    published: Path, tmp_path: Path
) -> None:
    with mounted_disk(tmp_path / "disk", "8m") as disk:
        said = refused(published, disk / "models")
        assert "lofi-tiny-int8 needs " in said
        assert " more bytes in " in said
        assert f", {shutil.disk_usage(disk).free} are free" in said
        assert visible(disk / "models") == []


def test_a_disk_that_fills_up_meanwhile_is_told_and_what_came_is_kept(
    published: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_repository: object, file: str, part: Path, _size: int, _on: object) -> None:
        part.write_bytes(b"some")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(part))

    monkeypatch.setattr(FolderRepository, "fetch", full)
    assert f"{models}: the disk is full; what came is kept" in refused(published, models)
    assert visible(models) == []
    assert any((models / ASIDE / "lofi-tiny-int8").glob(".*.part"))


def test_a_pull_killed_between_two_renames_is_undone_by_the_next(
    published: Path, models: Path
) -> None:
    folder = install(published, models).folder
    folder.rename(models / ".lofi-tiny-int8.old")
    assert install(published, models).was_installed
    assert visible(models) == ["lofi-tiny-int8"]
