from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.stages import select as stage
from lofi_engine.training import judging, selection_clips
from lofi_engine.training.adapters import adapter_weights, add_adapter, save_adapter
from lofi_runtime.backend import SAMPLE_RATE, Audio
from lofi_runtime.errors import BackendError
from tests.support.heard_tracks import write_heard
from tests.support.recipes import make_recipe
from tests.support.stage_runs import run_stage
from tests.support.tiny_metric_models import save_tiny_clap
from tests.support.tiny_training import one_thread, tiny_base, write_encoded

TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]
CLIPS = {"clips": 4, "steps": 2, "duration_sec": 5}
FAD = {"weights": {"held_out_loss": 0, "fad": 1}, **CLIPS}


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


def data(folder, splits=("train", "validation", "validation"), **shape):
    write_heard(folder, write_encoded(folder, splits), **shape)
    return folder


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    return data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    """Weights of adapters that move the sound a little and a lot."""
    lora = make_recipe(tmp_path_factory.mktemp("any"), lora={"targets": TARGETS}).lora
    with one_thread():
        fresh = adapter_weights(add_adapter(tiny_base().transformer, lora, 1))
    draws = torch.Generator().manual_seed(2)
    moved = {
        name: torch.randn(part.shape, generator=draws) if "lora_B" in name else part
        for name, part in fresh.items()
    }
    return {"still": fresh, "far": moved}


def selection(tmp_path, tracks, select, *, progress=None, sink=None, dataset=None, **places):
    recipe = make_recipe(tmp_path, lora={"targets": TARGETS}, select=select, dataset=dataset or {})
    for name, weights in places.items():
        place = tmp_path / "train" / "checkpoints" / name.replace("_", "-")
        save_adapter(place, weights, recipe.lora, {})
    inputs = {"encode": tracks, "train": tmp_path / "train"}
    inputs |= {name: tracks / name for name in ("curate", "describe")}
    place = tmp_path / "run"
    return run_stage(stage, recipe, place, inputs=inputs, progress=progress, sink=sink)


@pytest.fixture(scope="module")
def heard(tmp_path_factory, tracks, adapters):
    """One real run that renders, and listens by both the sound embedding and a CLAP model."""
    folder = tmp_path_factory.mktemp("heard")
    save_tiny_clap(folder / "clap")
    select = {
        "weights": {"held_out_loss": 1, "fad": 1, "prompt": 2},
        "clap": "clap", "clips": 2, "steps": 1, "duration_sec": 10,
    }  # fmt: skip
    with one_thread():
        return selection(folder, tracks, select, step_01=adapters["far"])


def test_clips_are_judged_by_distance_and_prompt_against_the_base(heard):
    facts = heard.outcome.facts
    terms, (far,) = facts["terms"], facts["checkpoints"].values()
    assert list(terms) == ["held_out_loss", "fad", "prompt"]
    assert 0 < terms["fad"]["base"] != far["fad"]["value"] > 0
    assert terms["prompt"]["base"] != far["prompt"]["value"]
    assert far["fad"]["gain"] == pytest.approx(
        1 - far["fad"]["value"] / terms["fad"]["base"], abs=1e-5
    )
    rest = 1 - terms["prompt"]["base"]
    gain = (far["prompt"]["value"] - terms["prompt"]["base"]) / rest
    assert far["prompt"]["gain"] == pytest.approx(gain, abs=1e-5)
    score = (far["held_out_loss"]["gain"] + far["fad"]["gain"] + 2 * far["prompt"]["gain"]) / 4
    assert far["score"] == pytest.approx(score, abs=1e-5)
    assert far["interval"]["low"] < far["score"] < far["interval"]["high"]


def test_the_distance_says_what_it_is_of(heard):
    fad = heard.outcome.facts["terms"]["fad"]
    assert fad["embedding"] == "lofi-sound-v1/random-5"  # ten windows allow five directions
    assert (fad["windows"], fad["n"], fad["counted"]) == (10, 2, "clips")
    assert (fad["against"], fad["reference_tracks"], fad["reference_windows"]) == (
        "the held-out tracks", 2, 10,
    )  # fmt: skip


def test_every_checkpoint_is_asked_for_the_same_prompts_and_seeds(heard):
    clips = heard.outcome.facts["clips"]
    assert (clips["steps"], clips["duration_sec"]) == (1, 10)
    assert clips["asked"] == [
        {"clip": "0001-track-2", "prompt": "lofi, piano, 72 bpm", "style": "CORE-01", "seed": 0},
        {"clip": "0002-track-1", "prompt": "lofi, piano, 71 bpm", "style": "SEASON-06", "seed": 1},
    ]


def test_no_clip_and_no_progress_stays_in_the_artifact(heard):
    names = {path.relative_to(heard.work).parts[0] for path in heard.work.rglob("*")}
    assert names == {"adapter", "select.json", "select.md"}
    assert json.loads((heard.work / "select.json").read_text()) == heard.outcome.facts


def test_the_table_shows_every_term_with_its_direction(heard):
    head, *rows = [event.message for event in heard.events if event.kind == "note"]
    assert head.split()[:1] + head.split()[4:] == [
        "checkpoint", "held_out_loss", "↓", "fad", "↓", "prompt", "↑",
    ]  # fmt: skip
    assert [row.split()[0] for row in rows] == ["step-01", "base", "chosen:"]
    page = (heard.work / "select.md").read_text()
    assert "| prompt | 2 | higher | (checkpoint - base) / (1 - base) | 2 clips, " in page
    assert "| fad | 1 | lower | 1 - checkpoint / base | 2 clips, lofi-sound-v1/random-5 |" in page


def fake_render(monkeypatch, render):
    """Stand in for the rendering alone; its own test renders. `render(name, prompt, seed)`."""
    worn = ["base"]
    wear = judging.Judge._as

    def told(self, name):
        worn[0] = name
        return wear(self, name)

    def clip(_base, prompt, *, lyrics, seed, duration_sec, steps):
        samples = render(worn[0], seed).astype(np.float32)
        return Audio(np.tile(samples[:, : SAMPLE_RATE * duration_sec], 1), ())

    monkeypatch.setattr(judging.Judge, "_as", told)
    monkeypatch.setattr("lofi_engine.training.samples.render_prompt", clip)


def noise(_name, seed):
    return 0.1 * np.random.default_rng(seed).standard_normal((2, 5 * SAMPLE_RATE))


def test_a_silent_checkpoint_cannot_be_chosen_and_says_why(tmp_path, tracks, adapters, monkeypatch):
    fake_render(monkeypatch, lambda name, seed: noise(name, seed) * (name != "step-01"))
    run = selection(tmp_path, tracks, FAD, step_01=adapters["far"], step_02=adapters["still"])
    facts = run.outcome.facts
    assert facts["chosen"] == "step-02"
    assert facts["checkpoints"]["step-01"]["cannot_be_chosen"] == (
        "step-01: 0001-track-2: silent, nothing above -70 dBFS"
    )
    assert "fad" not in facts["checkpoints"]["step-01"]
    assert facts["lead"] is None
    assert facts["why"].endswith("the only checkpoint that could be chosen")


def test_all_silent_or_a_silent_base_is_refused(tmp_path, tracks, adapters, monkeypatch):
    fake_render(monkeypatch, lambda name, seed: noise(name, seed) * (name == "base"))
    with pytest.raises(
        StageError, match=r"^select: no checkpoint can be chosen: step-01: .*silent"
    ):
        selection(tmp_path, tracks, FAD, step_01=adapters["far"])
    fake_render(monkeypatch, lambda name, seed: noise(name, seed) * (name != "base"))
    with pytest.raises(StageError, match=r"clips of the base cannot be heard: base: 0001-track-2"):
        selection(tmp_path / "base", tracks, FAD, step_01=adapters["far"])


def test_sound_that_is_no_number_names_the_checkpoint(tmp_path, tracks, adapters, monkeypatch):
    def broken(name, seed):
        if name == "step-02":
            raise BackendError("the model gave 7 samples that are not numbers, of 9", hint="x")
        return noise(name, seed)

    fake_render(monkeypatch, broken)
    with pytest.raises(
        StageError, match=r"^select: step-02: the model gave 7 samples that are not"
    ):
        selection(tmp_path, tracks, FAD, step_01=adapters["still"], step_02=adapters["far"])


def test_a_stopped_run_goes_on_and_ends_as_one_that_was_not(
    tmp_path, tracks, adapters, monkeypatch
):
    rendered = []

    def counted(name, seed):
        rendered.append((name, seed))
        return noise(name, seed) * (1 + 9 * (name != "base") * np.sin(np.arange(5 * SAMPLE_RATE)))

    fake_render(monkeypatch, counted)
    places = {"step_01": adapters["still"], "step_02": adapters["far"]}
    whole = selection(tmp_path / "whole", tracks, FAD, **places)
    assert len(rendered) == 12
    rendered.clear()

    def stop(event):
        if event.message == "step-02: clip 2 of 4":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        selection(tmp_path / "a", tracks, FAD, progress=tmp_path / "progress", sink=stop, **places)
    again = selection(tmp_path / "b", tracks, FAD, progress=tmp_path / "progress", **places)
    # The clip at work when it stopped is made again, and the one before it; no other.
    assert sorted(rendered)[-5:] == [("step-02", seed) for seed in (0, 0, 1, 2, 3)]
    assert len(rendered) == 13
    assert again.outcome == whole.outcome
    assert again.files() == whole.files()


def test_no_held_out_track_is_refused_where_the_distance_counts(tmp_path, adapters):
    folder = data(tmp_path / "data", ("train", "train"))
    line = (
        r"^select.weights.fad: no track is held out - add tracks, hold more of them out "
        r"\(dataset.holdout_share\), or set it to 0$"
    )
    with pytest.raises(StageError, match=line):
        selection(tmp_path, folder, FAD, step_01=adapters["far"])


def test_too_few_windows_are_refused_before_anything_is_rendered(tmp_path, adapters):
    few = data(tmp_path / "few", ("train", "validation"))
    with pytest.raises(StageError, match=r"1 held-out track, at least 2 are needed - add tracks"):
        selection(tmp_path / "a", few, FAD, step_01=adapters["far"])
    short = data(tmp_path / "short", ("validation", "validation"), duration_sec=3.5)
    with pytest.raises(StageError, match=r"2 held-out tracks give 2 windows of 3 s, even a proj"):
        selection(tmp_path / "b", short, FAD, step_01=adapters["far"])
    with pytest.raises(StageError, match=r"2 clips of 5 s give 4 windows .* - raise select.clips"):
        selection(tmp_path / "c", short, {**FAD, "clips": 2}, step_01=adapters["far"])


def test_without_held_out_tracks_prompts_still_count_and_the_distance_is_left_out(
    tmp_path, adapters, monkeypatch
):
    folder = data(tmp_path / "data", ("train", "train"))
    save_tiny_clap(tmp_path / "clap")
    fake_render(monkeypatch, lambda _name, seed: np.tile(noise("", seed), 2))
    select = {**CLIPS, "duration_sec": 10, "weights": {"prompt": 1}, "clap": "clap"}
    run = selection(tmp_path, folder, select, step_01=adapters["still"])
    facts = run.outcome.facts
    assert list(facts["terms"]) == ["held_out_loss", "prompt"]
    assert facts["left_out"] == {"fad": "no track is held out"}
    assert facts["judged_on"] == "train"
    assert "fad is not measured: no track is held out" in [event.message for event in run.events]


def test_a_model_that_is_not_there_is_refused(tmp_path, tracks, adapters, monkeypatch):
    fake_render(monkeypatch, noise)
    select = {**FAD, "weights": {"prompt": 1}, "clap": "nowhere"}
    with pytest.raises(StageError, match=r"^select.clap: .*nowhere"):
        selection(tmp_path, tracks, select, step_01=adapters["far"])


def test_nothing_is_rendered_where_nothing_of_it_counts(tmp_path, tracks, adapters, monkeypatch):
    monkeypatch.setattr(selection_clips, "render_clips", None)
    run = selection(tmp_path, tracks, {}, step_01=adapters["still"])
    assert list(run.outcome.facts["terms"]) == ["held_out_loss"]
    assert run.outcome.facts["clips"] == {}


def test_an_adapter_that_changes_nothing_renders_what_the_base_renders(
    tmp_path, tracks, adapters, monkeypatch
):
    fake_render(monkeypatch, noise)
    run = selection(tmp_path, tracks, FAD, step_01=adapters["still"])
    facts = run.outcome.facts
    found = facts["checkpoints"]["step-01"]
    assert found["fad"]["value"] == facts["terms"]["fad"]["base"] > 0
    assert (found["score"], found["fad"]["gain"], found["beyond_chance"]) == (0.0, 0.0, False)
    assert run.warnings == [
        "no checkpoint is better than the base: step-01, the best of them, scores +0.00%"
    ]
