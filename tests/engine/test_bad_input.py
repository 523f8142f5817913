"""Bad input typed against the real program: one clear sentence, exit 1, nothing half made."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lofi_engine.plan import PIPELINE
from tests.support.finished_run import LOFI_RECIPE, artifacts_of, lofi_recipe
from tests.support.recipes import write_recipe
from tests.support.small_disk import mounted_disk, remount

ANY_LICENSE = {"require_ai_training": False, "allow": ["unknown"]}


def run_over(folder: Path, source: str, **changes):
    recipe = write_recipe(
        folder, dataset={"sources": [{"path": source}], "licenses": ANY_LICENSE}, **changes
    )
    return lofi_recipe("run", recipe)


def nothing_half_made(folder: Path) -> bool:
    return not [path for path in folder.glob("runs/*/*/.*") if path.name.startswith(".making")]


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "raw").mkdir()
    done = run_over(tmp_path, "raw")
    assert done.returncode == 1
    assert "raw" in done.stderr
    assert "Traceback" not in done.stderr
    assert artifacts_of(tmp_path / "runs" / "small") == {}
    assert nothing_half_made(tmp_path)


def test_no_usable_track_lists_every_file_and_why(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "words.mp3").write_text("not audio at all")
    (raw / "cut.wav").write_bytes(b"RIFF\x00\x00")
    done = run_over(tmp_path, "raw")
    assert done.returncode == 1
    assert "words.mp3" in done.stderr
    assert "cut.wav" in done.stderr
    assert artifacts_of(tmp_path / "runs" / "small") == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"just words", b"- a\n- list\n", b"version: 1\nversion: 1\n"],
    ids=["empty", "binary", "a scalar", "a list", "a duplicate key"],
)
def test_what_is_no_recipe_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    done = lofi_recipe("run", path)
    assert done.returncode == 1
    assert "odd.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unwritable_publish_target_is_named_and_finished_stages_are_kept(finished_run, tmp_path):
    home = tmp_path / "copy"
    shutil.copytree(finished_run.home, home, ignore=shutil.ignore_patterns("published"))
    (home / "published").write_text("in the way")
    done = lofi_recipe("run", home / "recipe.yaml")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "published cannot be a folder: a file is in the way - publish to another folder, or move "
        "the file away"
    )
    assert set(artifacts_of(home / "runs" / "small")) >= set(PIPELINE) - {"publish"}
    assert (home / "published").read_text() == "in the way"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 17 MB: room to begin to train the small recipe, not to end it."""
    with mounted_disk(tmp_path / "disk", "17m") as place:
        yield place


@pytest.mark.pipeline
@pytest.mark.timeout(900)
def test_a_full_disk_ends_in_one_sentence_and_what_was_finished_is_kept(small_disk):
    recipe = write_recipe(small_disk)
    done = lofi_recipe("run", recipe)
    assert done.returncode == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert "the disk is full" in last
    assert "free some space and run again; finished stages are kept" in last
    assert nothing_half_made(small_disk)
    finished = artifacts_of(small_disk / "runs" / "small")
    assert "curate" in finished
    assert "publish" not in finished
    remount(small_disk, "size=200m")
    again = lofi_recipe("plan", recipe)
    assert again.stdout.count(" cached") == len(finished)


def test_a_read_only_place_is_named(small_disk):
    recipe = write_recipe(small_disk)
    remount(small_disk, "ro")
    done = lofi_recipe("run", recipe)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "cannot write here" in done.stderr


def test_a_pipe_among_the_tracks_is_refused_by_name_and_hangs_nothing(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    os.mkfifo(raw / "x.wav")
    recipe = write_recipe(tmp_path, dataset={"sources": [{"path": "raw"}], "licenses": ANY_LICENSE})
    assert lofi_recipe("plan", recipe, timeout_sec=30).returncode == 0
    done = lofi_recipe("run", recipe, timeout_sec=30)
    assert done.returncode == 1
    assert "x.wav" in done.stderr


def test_a_pipe_in_place_of_a_recipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    done = lofi_recipe("validate", tmp_path / "pipe.yaml", timeout_sec=30)
    assert done.returncode == 1
    assert "pipe.yaml: is a pipe; save the recipe as a file" in done.stderr


@pytest.mark.parametrize("redirect", ["> /dev/full", ">&-"])
def test_a_standard_output_that_takes_nothing_is_no_bug(redirect):
    command = f"{sys.executable} -m lofi_engine.cli.main ls {redirect}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == (1 if "full" in redirect else 0)
    assert "bug" not in done.stderr


def test_two_interrupts_end_a_run_once_and_it_goes_on_afterwards(tmp_path):
    recipe = write_recipe(
        tmp_path, dataset={"sources": [{"synth": {"tracks": 12, "duration_sec": 30}}]}
    )
    command = [*LOFI_RECIPE, "run", str(recipe), "--only", "curate", "--progress", "json"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in running.stderr:
        if json.loads(line)["done"] >= 1:
            break
    for _ in range(2):
        running.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _out, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in said
    assert nothing_half_made(tmp_path)
    again = lofi_recipe("run", recipe, "--only", "curate")
    assert again.returncode == 0, again.stderr
    assert "kept from before" in again.stderr
