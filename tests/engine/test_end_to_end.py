"""One recipe in, a model that plays out: the real stages on a tiny base."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lofi_engine.plan import PIPELINE
from lofi_engine.run import RUNS
from lofi_runtime.bundle import open_bundle
from tests.support.audio_folder import LIMITS, make_audio_folder
from tests.support.finished_run import ONE_THREAD, artifacts_of, lofi_recipe
from tests.support.recipes import write_recipe

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]


def test_a_run_leaves_an_artifact_of_every_stage_and_prints_the_bundles(finished_run):
    assert set(finished_run.artifacts()) == set(PIPELINE)
    printed = finished_run.stdout.splitlines()
    assert printed == [str(finished_run.bundle(name)) for name in ("fp16", "int8", "int4")]


def test_a_second_run_is_all_cached_and_takes_no_heavy_import(finished_run):
    again = lofi_recipe("run", finished_run.recipe, "--progress", "json")
    assert again.returncode == 0, again.stderr
    kinds = [json.loads(line)["kind"] for line in again.stderr.splitlines()]
    assert kinds == ["cached"] * len(PIPELINE)
    assert again.stdout == finished_run.stdout


def test_every_published_variant_opens_verified_and_plays(finished_run, tmp_path):
    for variant in ("fp16", "int8", "int4"):
        bundle = open_bundle(finished_run.bundle(variant), verify=True)
        assert bundle.verified
        assert bundle.manifest is not None
        assert bundle.manifest.variant == variant
        out = tmp_path / f"{variant}.wav"
        made = lofi_recipe(
            "generate", finished_run.recipe, "rainy night coding", "--variant", variant,
            "--out", out, "--duration-sec", 5, "--inference-steps", 4, "--seed", 7,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        assert made.stdout.splitlines()[-1] == str(out)
        samples, sample_rate = soundfile.read(out)
        assert (sample_rate, samples.shape) == (48_000, (5 * 48_000, 2))
        assert np.isfinite(samples).all()
        assert np.sqrt(np.mean(samples**2)) > 1e-3


def test_variants_are_as_small_as_they_say(finished_run):
    def size(variant: str) -> int:
        return (finished_run.bundle(variant) / "transformer_decoder_weights.bin").stat().st_size

    assert size("int4") < size("int8") < size("fp16")


def test_no_published_file_holds_an_absolute_path_or_a_user_name(finished_run):
    needles = {str(finished_run.home), str(ROOT), str(Path.home()), sys.prefix}
    user = getpass.getuser()
    if user not in {"root", "runner"}:  # words that occur in prose
        needles.add(user)
    files = [path for path in finished_run.published.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        content = path.read_bytes()
        for needle in needles:
            assert needle.encode() not in content, f"{path.name} holds {needle}"


def test_a_run_killed_once_inside_every_stage_ends_as_an_undisturbed_one(finished_run, tmp_path):
    recipe = write_recipe(tmp_path)
    # Train twice: with no checkpoint yet, and on its way to the third of three; publish twice:
    # while bundles are put together, copied, and put in place.
    moments = [(stage, "1") for stage in PIPELINE]
    moments.insert(moments.index(("train", "1")) + 1, ("train", "5"))
    moments += [("publish", "5"), ("publish", "9")]
    errors = tmp_path / "errors"
    with (
        errors.open("w") as told,
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.killed_run", str(recipe)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            env={**os.environ, **ONE_THREAD},
        ) as killer,
    ):
        for stage, done in moments:
            killer.stdin.write(f"{stage} {done}\n")
            killer.stdin.flush()
            assert killer.stdout.readline() == "-9\n", f"{stage}: {errors.read_text()}"
            assert stage not in artifacts_of(tmp_path / RUNS / "small")
            assert not list((tmp_path / "published").glob("*")) or stage == "publish"
        killer.stdin.close()
    finished = lofi_recipe("run", recipe)
    assert finished.returncode == 0, finished.stderr
    assert artifacts_of(tmp_path / RUNS / "small") == finished_run.artifacts()
    assert not list((tmp_path / RUNS).glob("*/*/.*"))


def test_a_deleted_published_folder_is_published_again(finished_run, tmp_path):
    state = lofi_recipe("plan", finished_run.recipe, "--json")
    assert [row["cached"] for row in json.loads(state.stdout)["stages"]] == [True] * len(PIPELINE)
    moved = tmp_path / "moved"
    finished_run.bundle("int4").rename(moved)
    try:
        rows = json.loads(lofi_recipe("plan", finished_run.recipe, "--json").stdout)["stages"]
        reasons = {row["stage"]: row["reason"] for row in rows if not row["cached"]}
        assert list(reasons) == ["publish"]
        assert "published/small-int4" in reasons["publish"]
    finally:
        moved.rename(finished_run.bundle("int4"))


def test_a_run_over_real_files_of_every_kind_refuses_the_bad_ones_by_name(tmp_path):
    made = make_audio_folder(tmp_path / "raw")
    real = ROOT.parent / "shared" / "audio" / "test_track_001.mp3"
    if real.is_file():  # a real track, where one is at hand
        for path in real.parent.glob("test_track_001*"):
            shutil.copy(path, tmp_path / "raw")
    recipe = write_recipe(
        tmp_path,
        dataset={
            "sources": [{"path": "raw"}],
            "licenses": {"require_ai_training": False, "allow": ["unknown"]},
            "quality": dict(LIMITS),
        },
        variants={"int8": {"weights": "int8"}},
    )
    done = lofi_recipe("run", recipe, "--progress", "plain")
    assert done.returncode == 0, done.stderr
    (ledger_path,) = (tmp_path / RUNS / "small" / "curate").glob("*/ledger.json")
    rows = {
        row["source"].removeprefix("raw/"): row
        for row in json.loads(ledger_path.read_text())["rows"]
    }
    for name, reason in made.items():
        assert rows[name].get("reason", "") == reason
        assert rows[name]["status"] == ("rejected" if reason else "accepted")
    if real.is_file():
        assert rows["test_track_001.mp3"]["status"] == "accepted"
    assert (tmp_path / "published" / "small-int8" / "manifest.json").is_file()
