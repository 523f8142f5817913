from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lofi_engine.models.ace_step_v1.builtin import TINY
from lofi_engine.models.ace_step_v1.family import AceStepV1
from lofi_engine.training.checkpoints import all_checkpoints
from lofi_engine.training.disk import estimate_training_disk
from tests.support.tiny_training import LORA, TRAINING, make_trainer, silent, write_encoded


def disk(**changes):
    outline = AceStepV1().training_outline(TINY, revision="1", home=Path())
    return estimate_training_disk(outline, LORA, replace(TRAINING, **changes))


def test_checkpoints_take_what_is_estimated(tmp_path):
    tracks = write_encoded(tmp_path / "encoded", ("train", "train"))
    trainer = make_trainer(tmp_path / "encoded", tracks, tmp_path / "kept", steps=6)
    trainer.run(5, silent)
    places = all_checkpoints(tmp_path / "kept")
    assert len(places) == 3
    taken = sum(
        path.stat().st_size
        for place in places
        for path in place.iterdir()
        if path.suffix == ".safetensors"
    )
    estimated = disk(steps=6)
    # Room is left for the next checkpoint, which is written before an older one shrinks.
    upper = estimated["adapters"] + estimated["optimizer"]
    assert taken < 1.15 * upper
    assert upper < 2.2 * taken


def test_rarer_checkpoints_and_samples_take_less():
    assert disk(steps=100)["adapters"] > 10 * disk(steps=100, checkpoint_every=50)["adapters"]
    assert disk(steps=100)["samples"] > 5 * disk(steps=100, sample_every=50)["samples"]
