from __future__ import annotations

import time

import pytest

from lofi_engine import needs
from lofi_engine.errors import NeedsError
from lofi_engine.needs import check_needs
from lofi_engine.recipe.load import load_recipe
from lofi_runtime.shared_data import shared_folder
from tests.support.finished_run import lofi_recipe
from tests.support.recipes import make_recipe
from tests.support.tiny_ssl_models import save_tiny_mert, save_tiny_mhubert


def test_the_starter_recipe_needs_nothing():
    check_needs(load_recipe(shared_folder("recipes") / "starter.yaml"))


def test_the_full_recipe_lists_everything_missing_at_once_within_five_seconds():
    started = time.monotonic()
    done = lofi_recipe("run", shared_folder("recipes") / "v1.yaml")
    assert time.monotonic() - started < 5
    assert done.returncode == 1
    for word in (
        "base.model: ACE-Step/ACE-Step-v1-3.5B", "dataset.sources[0].path", "sources[3].path",
        "publish.to: no token", "--rehearse", "measure.clap.model: laion/clap-htsat-unfused is not",
        "fetch it with: hf download laion/clap-htsat-unfused",
    ):  # fmt: skip
        assert word in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"publish": {"to": "hf:me/models"}}, "publish.to: lofi-recipe 0.1.0 publishes to folders"),
    ],
)
def test_what_this_version_cannot_do_is_refused_not_skipped(tmp_path, changes, line):
    with pytest.raises(NeedsError) as caught:
        check_needs(make_recipe(tmp_path, **changes))
    assert line in str(caught.value)


def test_gates_that_cannot_be_measured_are_refused_before_anything_runs(tmp_path):
    gates = {"fad": {"max_increase": {"int8": 0.05}}, "clap": {"max_drop": {"int8": 0.05}}}
    with pytest.raises(NeedsError) as caught:
        check_needs(make_recipe(tmp_path, measure={"seeds": 10, "duration_sec": 5, **gates}))
    said = str(caught.value)
    assert "recipe.yaml: measure.fad: 10 pieces of 5 s give 20 windows of 3 s" in said
    assert "recipe.yaml: measure.clap.model: laion/clap-htsat-unfused is not in the Hub" in said


def test_audio_models_that_are_missing_are_listed_with_the_command_that_fetches_them(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    ssl = {"mert": "hf:m-a-p/MERT-v1-330M", "mhubert": "models/mhubert"}
    recipe = make_recipe(tmp_path, training={"ssl": ssl})
    with pytest.raises(NeedsError) as caught:
        check_needs(recipe)
    mert, mhubert = caught.value.problems
    assert mert.startswith("recipe.yaml: training.ssl.mert: m-a-p/MERT-v1-330M is not in the Hub")
    assert mert.endswith("fetch it with: hf download m-a-p/MERT-v1-330M")
    assert mhubert.startswith("recipe.yaml: training.ssl.mhubert: the folder ")
    save_tiny_mhubert(tmp_path / "models" / "mhubert")
    save_tiny_mert(tmp_path / "models" / "mert")
    check_needs(make_recipe(tmp_path, training={"ssl": {**ssl, "mert": "models/mert"}}))


def test_a_machine_without_gpu_memory_or_disk_hears_all_three(tmp_path, monkeypatch):
    monkeypatch.setattr(needs, "_has_accelerator", lambda: False)
    monkeypatch.setattr(needs, "_memory_bytes", lambda: 8 * needs.GB)
    monkeypatch.setattr(needs, "FULL_SIZE_DISK_BYTES", 10**18)
    with pytest.raises(NeedsError) as caught:
        check_needs(make_recipe(tmp_path, base={"model": "hf:ACE-Step/ACE-Step-v1-3.5B"}))
    said = str(caught.value)
    assert "accelerator: none found" in said
    assert "memory: 8 GB here, 30 GB needed" in said
    assert "GB free in" in said
