from __future__ import annotations

from dataclasses import replace

import pytest

from lofi_engine.errors import StageError
from lofi_engine.recipe import model
from lofi_engine.training import fits
from lofi_engine.training.encoded import read_index
from lofi_engine.training.fits import check_disk, check_memory, demand_of
from tests.support.tiny_training import LORA, tiny_job, write_encoded


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoded")
    write_encoded(folder, ("train", "train"), frames=200, lyrics=12)
    return folder


def demand(encoded, tmp_path, **changes):
    job = tiny_job(encoded, tmp_path / "progress", window_sec=60.0, **changes)
    return demand_of(job, read_index(encoded, "train"), job.training.steps)


def refused(check, *arguments):
    with pytest.raises(StageError) as caught:
        check(*arguments)
    return str(caught.value)


def test_what_the_tracks_are_decides_not_what_the_recipe_allows(encoded, tmp_path):
    found = demand(encoded, tmp_path)
    assert found.window_sec == pytest.approx(200 * 4096 / 44100)
    assert (found.tokens.text, found.tokens.lyrics) == (3, 12)
    shorter = found.memory(LORA, replace(found.job.training, window_sec=18.6), "cpu")
    assert found.memory(LORA, found.job.training, "cpu").training == pytest.approx(
        shorter.training, rel=0.01
    )


def test_what_fits_is_said_with_what_there_is(encoded, tmp_path, monkeypatch):
    monkeypatch.setattr(fits, "free_memory", lambda: 8 * 10**9)
    monkeypatch.setattr(fits, "free_accelerator_memory", lambda: None)
    warned = []
    assert check_memory(demand(encoded, tmp_path), warned.append).endswith(" MB of 8.0 GB free")
    assert check_disk(demand(encoded, tmp_path)).endswith(" GB free")
    assert warned == []


def test_a_machine_without_the_memory_is_refused_with_the_numbers(encoded, tmp_path, monkeypatch):
    monkeypatch.setattr(fits, "free_memory", lambda: 20 * 10**6)
    monkeypatch.setattr(fits, "free_accelerator_memory", lambda: None)
    said = refused(check_memory, demand(encoded, tmp_path), pytest.fail)
    assert said.startswith("train: this training takes about ")
    for word in (
        " of memory (weights 4 MB, adapter ", ", activations ", ", 20 MB are free - lower it with ",
        "training.gradient_checkpointing: true (saves ", "training.base_precision: bf16 (saves ",
    ):  # fmt: skip
        assert word in said
    assert "window_sec" not in said  # no track is that long


def test_what_may_just_fit_is_a_warning(encoded, tmp_path, monkeypatch):
    found = demand(encoded, tmp_path)
    needed = found.memory(LORA, found.job.training, "cpu").host
    monkeypatch.setattr(fits, "free_memory", lambda: round(needed / 1.1))
    monkeypatch.setattr(fits, "free_accelerator_memory", lambda: None)
    warned = []
    check_memory(found, warned.append)
    assert len(warned) == 1
    assert "it may run out" in warned[0]


def test_every_process_takes_memory_of_the_machine(encoded, tmp_path, monkeypatch):
    one = demand(encoded, tmp_path)
    needed = one.memory(LORA, one.job.training, "cpu").host
    monkeypatch.setattr(fits, "free_memory", lambda: 2 * needed)
    monkeypatch.setattr(fits, "free_accelerator_memory", lambda: None)
    check_memory(one, pytest.fail)
    assert "of memory" in refused(check_memory, demand(encoded, tmp_path, processes=4), pytest.fail)


def test_an_accelerator_counts_for_itself_and_the_machine_for_loading(
    encoded, tmp_path, monkeypatch
):
    monkeypatch.setattr(fits, "free_memory", lambda: 8 * 10**9)
    monkeypatch.setattr(fits, "free_accelerator_memory", lambda: 700 * 10**6)
    said = refused(check_memory, demand(encoded, tmp_path), pytest.fail)
    assert "of the accelerator's memory (weights" in said
    assert "process 800 MB), 700 MB are free" in said
    monkeypatch.setattr(fits, "free_accelerator_memory", lambda: 24 * 10**9)
    monkeypatch.setattr(fits, "free_memory", lambda: 10**6)
    said = refused(check_memory, demand(encoded, tmp_path), pytest.fail)
    assert said.startswith("train: loading the base takes about ")


def test_a_disk_too_small_for_the_checkpoints_is_refused(encoded, tmp_path, monkeypatch):
    monkeypatch.setattr(fits, "free_disk", lambda _folder: 5 * 10**6)
    said = refused(check_disk, demand(encoded, tmp_path, steps=1000))
    assert said.startswith("train: checkpoints and samples take about ")
    for word in (
        "(adapters ", ", optimizer ", ", samples ", f"5 MB are free in {tmp_path}",
        "make room, or lower it with ", "training.sample_every: 12 (saves ",
    ):  # fmt: skip
        assert word in said


def test_the_families_without_a_configuration_say_so(encoded, tmp_path):
    job = replace(demand(encoded, tmp_path).job, base=model.Base("ace-step-v1", "none", "", None))
    said = refused(demand_of, job, read_index(encoded, "train"), 1)
    assert said.startswith("base.model: cannot read ")
