from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1 import checkpoint, tiny_config
from lofi_engine.models.ace_step_v1.base import Configs
from lofi_engine.models.ace_step_v1.config import ErgConfig
from lofi_engine.models.ace_step_v1.seeded import fill_seeded
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.onnx_graphs import export
from lofi_engine.recipe import model
from lofi_engine.stages import train as train_stage
from lofi_engine.training import export_proof, preflight
from lofi_engine.training.export_proof import left_out_because, prove_export
from lofi_engine.training.preflight import REMEMBERED, calibrate, run_preflight
from tests.support.exported_tiny import TINY
from tests.support.recipes import make_recipe
from tests.support.stage_runs import run_stage
from tests.support.tiny_training import LORA, tiny_job, write_encoded

GB = 10**9


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoded")
    write_encoded(folder, ("train", "train", "validation"), lyrics=4)
    return folder


@pytest.fixture
def job(encoded, tmp_path):
    return tiny_job(
        encoded, tmp_path / "progress", steps=1000, checkpoint_every=500, sample_every=500
    )


def notes_of(job):
    notes = []
    run_preflight(job, notes.append, pytest.fail)
    return notes


def test_one_line_says_hours_disk_memory_and_the_export(job):
    (line,) = notes_of(job)
    assert line.startswith("about ")
    for word in (
        " for 1000 steps of ", " s; disk ", " free; memory ",
        "; export not tried: the export stage follows soon (found out in ",
    ):  # fmt: skip
        assert word in line


def test_a_calibration_leaves_nothing_and_moves_no_random_state(job):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    assert 0.0 < calibrate(job) < 10.0
    assert torch.equal(torch.get_rng_state(), before)
    assert not list(job.home.rglob("*"))


def test_training_after_it_is_bit_for_bit_what_it_was_without(encoded, tmp_path, monkeypatch):
    recipe = make_recipe(tmp_path, training={"steps": 5, "accumulate": 2}, execution={"threads": 1})

    def trained(place):
        inputs = {"encode": encoded, "split": tmp_path}
        return run_stage(train_stage, recipe, tmp_path / place, inputs=inputs)

    with_it = trained("with")
    assert [event.kind for event in with_it.events].count("note") == 1
    monkeypatch.setattr(train_stage, "run_preflight", lambda *_arguments: None)
    without = trained("without")

    def made(run):
        files = run.files().items()
        return {name: hashed for name, hashed in files if "board" not in name}

    assert [event.kind for event in without.events].count("note") == 0
    assert made(with_it) == made(without)
    assert with_it.outcome.facts == without.outcome.facts


def test_a_resumed_training_does_not_try_again(job, monkeypatch):
    notes_of(job)
    monkeypatch.setattr(preflight, "calibrate", lambda _job: pytest.fail("tried again"))
    (job.progress / "step-0000500").mkdir()
    (line,) = notes_of(job)
    assert " for 500 steps of " in line


@pytest.mark.parametrize("what", ["the base", "the recipe", "the software", "the file"])
def test_what_was_tried_with_something_else_is_void(job, monkeypatch, what):
    notes_of(job)
    if what == "the base":
        job = replace(job, base=replace(TINY, revision="2"))
    elif what == "the recipe":
        job = replace(job, lora=replace(LORA, r=2))
    elif what == "the software":
        monkeypatch.setattr(preflight, "version", lambda _name: "0.0")
    else:
        (job.progress / REMEMBERED).write_text("{", encoding="utf-8")
    tried = []
    monkeypatch.setattr(preflight, "calibrate", lambda job: tried.append(job) or 0.1)
    notes_of(job)
    assert tried == [job]


def test_a_finished_training_is_left_alone(job, monkeypatch):
    (job.progress / "step-0001000").mkdir(parents=True)
    monkeypatch.setattr(preflight, "calibrate", lambda _job: pytest.fail("tried"))
    assert notes_of(job) == []


def test_a_target_that_is_no_module_is_said_before_anything_runs(job):
    with pytest.raises(StageError, match=r"lora\.targets: 'to_x' names no module"):
        notes_of(replace(job, lora=replace(LORA, targets=("to_x",))))


def test_what_cannot_fit_is_not_even_tried(job, monkeypatch):
    monkeypatch.setattr(preflight, "calibrate", lambda _job: pytest.fail("tried"))
    huge = replace(job.training, batch_size=10**6)
    with pytest.raises(StageError, match=r"train: this training takes about .* of memory"):
        notes_of(replace(job, training=huge))


def test_a_long_training_is_preceded_by_the_proof(job, monkeypatch):
    record = export.GraphRecord("g", "", 3 * 10**6, None, (), (), (), 21, ())
    monkeypatch.setattr(preflight, "calibrate", lambda _job: 60.0)
    parity = type("Parity", (), {"relative_difference": 1.5e-6})()
    monkeypatch.setattr(
        preflight, "prove_export", lambda *_, **__: replace(record, parity=(parity,))
    )
    (line,) = notes_of(job)
    assert " for 1000 steps of 60 s; " in line
    assert "export works (3 MB, 1.5e-06 from torch)" in line
    assert json.loads((job.progress / REMEMBERED).read_text())["step_sec"] == 60.0


def test_the_proof_is_left_out_for_a_reason_with_its_numbers():
    assert left_out_because(100.0, GB, memory=GB, disk=GB) == "the export stage follows soon"
    hour = 3600.0
    assert left_out_because(hour, 10 * GB, memory=4 * GB, disk=90 * GB) == (
        "it takes 15.0 GB of memory, 4.0 GB are free"
    )
    assert left_out_because(hour, 10 * GB, memory=16 * GB, disk=GB) == (
        "it takes 10.0 GB of disk, 1.0 GB are free"
    )
    assert left_out_because(hour, 10 * GB, memory=16 * GB, disk=11 * GB) is None


@pytest.fixture(scope="module")
def flat_base(tmp_path_factory):
    """A base of one block: exporting takes a few seconds a block."""
    home = tmp_path_factory.mktemp("flat")
    base = build_tiny()
    config = replace(
        tiny_config.TRANSFORMER,
        num_layers=1,
        ssl_encoder_depths=(0, 0),
        erg=ErgConfig((0, 1), (1, 2), (1, 2)),
    )
    base.transformer = fill_seeded(AceStepTransformer(config), seed=1, name="transformer")
    old = base.configs
    base.configs = Configs(config.to_mapping(), old.dcae, old.vocoder, old.text)
    checkpoint.save(base, home / "base")
    return home


def flat(home):
    return model.Base(TINY.family, "base", "main", None), LORA, home


def test_a_merged_decoder_is_exported_and_answers_as_torch(flat_base, tmp_path):
    record = prove_export(*flat(flat_base), tmp_path / "proof", seed=1)
    assert record.file == export_proof.DECODER
    assert 0.0 < max(parity.relative_difference for parity in record.parity) < 1e-4
    assert not (tmp_path / "proof").exists()


def test_a_model_that_cannot_be_exported_is_said_before_the_training(
    flat_base, tmp_path, monkeypatch
):
    def broken(*_arguments, **_options):
        raise StageError("transformer_decoder.onnx: aten.rms_norm is not known")

    monkeypatch.setattr(export, "write_graph", broken)
    with pytest.raises(StageError) as caught:
        prove_export(*flat(flat_base), tmp_path / "proof", seed=1)
    assert str(caught.value).startswith(
        "train: the trained model could not be exported: transformer_decoder.onnx: aten.rms_norm"
    )
    assert "nothing was trained yet" in str(caught.value)
    assert not (tmp_path / "proof").exists()
