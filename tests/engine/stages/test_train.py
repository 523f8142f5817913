from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest
from safetensors import safe_open

from lofi_engine.errors import StageError
from lofi_engine.stages import train
from lofi_engine.training.adapters import ADAPTER_WEIGHTS, adapter_norm, load_adapter_weights
from lofi_engine.training.checkpoints import all_checkpoints
from lofi_engine.training.shards import write_shard
from tests.support.recipes import make_recipe
from tests.support.stage_runs import run_stage
from tests.support.tiny_training import features, one_thread, write_encoded

NAMES = ["step-0000002", "step-0000004", "step-0000005"]


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoded")
    write_encoded(folder, ("train", "train", "validation"), lyrics=4)
    return folder


def training(tmp_path, encoded, place="run", *, changes=None, **options):
    recipe = make_recipe(
        tmp_path, training={"steps": 5, **(changes or {})}, execution={"threads": 1}
    )
    inputs = {"encode": encoded, "split": tmp_path}
    return run_stage(train, recipe, tmp_path / place, inputs=inputs, **options)


def steps_of(run):
    """The events of its steps; what is said before the first is none."""
    return [event for event in run.events if event.kind == "progress"]


@pytest.fixture(scope="module")
def done(encoded, tmp_path_factory):
    with one_thread():
        return training(tmp_path_factory.mktemp("done"), encoded)


def test_every_checkpoint_leaves_an_adapter(done):
    places = sorted((done.work / "checkpoints").iterdir())
    assert [place.name for place in places] == NAMES
    norms = {place.name: adapter_norm(load_adapter_weights(place)) for place in places}
    assert done.outcome.facts["adapter_norms"] == norms
    assert 0.0 < norms[NAMES[0]] < norms[NAMES[1]]


def test_an_adapter_says_its_base_and_step(done):
    path = done.work / "checkpoints" / NAMES[1] / ADAPTER_WEIGHTS
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert (metadata["base"], metadata["step"]) == ("builtin:tiny@1", "4")
    assert (metadata["rank"], metadata["scale"]) == ("4", "4.0")


def test_losses_are_kept_as_figures_and_as_a_picture(done):
    losses = json.loads((done.work / "losses.json").read_text())
    facts = done.outcome.facts
    assert len(losses) == facts["steps"] == 5
    assert (facts["first_loss"], facts["last_loss"]) == (losses[0], losses[-1])
    assert facts["tracks"] == 2
    assert "denoising loss over 5 steps" in (done.work / "loss.svg").read_text()
    assert done.outcome.measured["steps_per_sec"] > 0


def test_the_record_says_how_often_each_style_and_each_kind_of_text_is_drawn(done):
    facts = done.outcome.facts
    assert facts["style_shares"] == {"CORE-01": 0.5, "SEASON-06": 0.5}
    # Each track has a caption and one other order of its tags.
    assert facts["text_shares"] == {"prompt": 0.35, "shuffle": 0.35, "caption": 0.3}


def test_progress_shows_each_step_s_loss(done):
    losses = json.loads((done.work / "losses.json").read_text())
    assert [(event.done, event.total, event.unit) for event in steps_of(done)] == [
        (step, 5, "steps") for step in range(1, 6)
    ]
    for event, loss in zip(steps_of(done), losses, strict=True):
        assert event.message.startswith(f"loss {loss:.4f} (smoothed ")
    assert steps_of(done)[-1].message.endswith("0:00 left")


def hashed(run):
    """The files that must be equal; the board's hold times."""
    return {
        name: said for name, said in run.files().items() if name not in run.outcome.measured_files
    }


def test_the_artifact_is_the_same_again(done, encoded, tmp_path):
    assert hashed(training(tmp_path, encoded)) == hashed(done)


def test_losses_by_noise_by_style_and_on_held_out_tracks_are_pictures(done):
    pictures = {path.name: path.read_text() for path in done.work.glob("*.svg")}
    assert sorted(pictures) == [
        "held-out-loss.svg", "loss-by-noise.svg", "loss-by-style.svg", "loss.svg",
    ]  # fmt: skip
    assert "SEASON-06" in pictures["loss-by-style.svg"]


def test_the_board_s_files_are_in_the_artifact_and_not_hashed(done):
    names = {f"tensorboard/{run}/events.out.tfevents.0000" for run in ("steps", "checkpoints")}
    assert done.outcome.measured_files == names
    assert names <= set(done.files())


class KilledError(Exception):
    """What stops the stage from outside."""


def test_stopped_and_run_again_it_leaves_the_same_bytes(done, encoded, tmp_path):
    def die(event):
        if event.done == 3:
            raise KilledError

    progress = tmp_path / "progress"
    with pytest.raises(KilledError):
        training(tmp_path, encoded, "1", progress=progress, sink=die)
    assert [place.name for place in all_checkpoints(progress)] == NAMES[:1]
    again = training(tmp_path, encoded, "2", progress=progress)
    assert [event.done for event in steps_of(again)] == [3, 4, 5]
    assert hashed(again) == hashed(done)
    assert again.outcome.facts == done.outcome.facts


def test_interrupted_it_leaves_no_checkpoint_out_of_turn(done, encoded, tmp_path):
    def interrupt(event):
        if event.done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    progress = tmp_path / "progress"
    with pytest.raises(KeyboardInterrupt):
        training(tmp_path, encoded, "1", progress=progress, sink=interrupt)
    assert [place.name for place in all_checkpoints(progress)] == [NAMES[0], "step-0000003"]
    again = training(tmp_path, encoded, "2", progress=progress)
    assert [event.done for event in steps_of(again)] == [4, 5]
    assert hashed(again) == hashed(done)
    assert again.outcome.facts == done.outcome.facts


def test_a_training_that_starts_over_because_the_recipe_changed_says_so(encoded, tmp_path):
    stopped, fresh = tmp_path / ".progress-a", tmp_path / ".progress-b"
    (stopped / NAMES[1]).mkdir(parents=True)
    run = training(tmp_path, encoded, progress=fresh, changes={"steps": 2})
    assert [text for text in run.warnings if "starts at step 0" in text] == [
        "train: starts at step 0; a training with other settings or data was stopped after "
        "step-0000004: run the recipe as it was then to go on with it, or remove it with "
        "`lofi-recipe clean` (.progress-a)"
    ]
    again = training(tmp_path, encoded, "again", progress=fresh, changes={"steps": 2})
    assert not [text for text in again.warnings if "starts at" in text]


def test_a_damaged_checkpoint_stops_the_stage_by_name(encoded, tmp_path):
    place = tmp_path / "progress" / NAMES[0]
    place.mkdir(parents=True)
    (place / "resume.safetensors").write_bytes(b"torn")
    with pytest.raises(StageError, match=rf"{NAMES[0]}: the checkpoint is damaged"):
        training(tmp_path, encoded, progress=tmp_path / "progress")


def test_validation_tracks_are_judged_by_and_not_trained_on(done, tmp_path):
    tracks = write_encoded(tmp_path / "encoded", ("train", "train", "validation"), lyrics=4)
    other = features(77, lyrics=4)
    write_shard(tmp_path / "encoded" / tracks[2].shard, other)
    again = training(tmp_path, tmp_path / "encoded")
    for name in NAMES:
        adapter = f"checkpoints/{name}/{ADAPTER_WEIGHTS}"
        assert again.files()[adapter] == done.files()[adapter]
    assert again.outcome.facts["held_out_losses"] != done.outcome.facts["held_out_losses"]


def test_an_empty_training_split_is_refused(tmp_path):
    write_encoded(tmp_path / "encoded", ("validation",))
    with pytest.raises(StageError) as caught:
        training(tmp_path, tmp_path / "encoded")
    assert str(caught.value) == "train: the training split is empty - add tracks to the dataset"


def test_an_adapter_that_learned_nothing_is_refused(encoded, tmp_path):
    recipe = make_recipe(tmp_path, training={"steps": 1})
    recipe = replace(recipe, training=replace(recipe.training, learning_rate=0.0))
    with pytest.raises(StageError) as caught:
        run_stage(train, recipe, tmp_path / "run", inputs={"encode": encoded})
    assert str(caught.value) == (
        "train: after 1 steps the adapter changes nothing: every lora_B is zero - "
        "train more steps or raise training.learning_rate"
    )


def test_a_target_that_is_no_module_is_refused(encoded, tmp_path):
    recipe = make_recipe(tmp_path, lora={"targets": ["to_q", "to_z"]})
    with pytest.raises(StageError, match=r"lora\.targets: 'to_z' names no module of this base"):
        run_stage(train, recipe, tmp_path / "run", inputs={"encode": encoded})
