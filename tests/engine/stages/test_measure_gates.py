from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile

from lofi_engine.data.rows import Row, write_rows
from lofi_engine.errors import StageError
from lofi_engine.metrics.folder import ClipFolder
from lofi_engine.stages import measure
from lofi_engine.stages.measure import GateError
from tests.engine.stages.test_measure import disturb
from tests.support.recipes import make_recipe
from tests.support.releases import make_release
from tests.support.stage_runs import run_stage
from tests.support.tiny_bundle import make_tiny_bundle
from tests.support.tiny_metric_models import save_tiny_clap

SEEDS, DURATION_SEC = 4, 5
WINDOWS = SEEDS * 2
"""Of 3 s, one every 1.5 s."""
TRACKS = ("dusk", "fog", "night", "rain", "snow")


def write_tracks(folder, held_out):
    """Leave what curate and split would: five tracks of slow chords, some of them held out."""
    curate, split = folder / "curate", folder / "split"
    (curate / "tracks").mkdir(parents=True)
    split.mkdir()
    time = np.arange(48_000 * 12) / 48_000
    rows = []
    for number, name in enumerate(TRACKS):
        draws = np.random.default_rng(number)
        tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in draws.uniform(80, 900, 4))
        beat = 0.5 + 0.5 * (np.mod(time, 0.6 + 0.1 * number) < 0.2)
        sound = 0.05 * np.stack([tones * beat, tones * beat[::-1]], axis=1)
        sound += 0.002 * draws.standard_normal(sound.shape)
        file = f"tracks/{name}.flac"
        soundfile.write(curate / file, sound.astype(np.float32), 48_000)
        rows.append(Row(source=name, status="accepted", track=name, file=file, duration_sec=12.0))
    write_rows(curate, rows)
    sides = {"validation": list(held_out), "train": sorted(set(TRACKS) - set(held_out))}
    (split / "split.json").write_text(json.dumps({**sides, "by": "overall"}))
    return {"curate": curate, "split": split}


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """float32 graphs, an equal variant and one further from the tracks."""
    folder = tmp_path_factory.mktemp("graphs")
    quantized = folder / "quantize"
    far = make_tiny_bundle(quantized / "int4", manifest=False)
    # What is disturbed more is noisier and, as it happens, nearer to these tracks.
    disturb(shutil.copytree(far, folder / "export"), 0.5)
    shutil.copytree(folder / "export", quantized / "fp16")
    described = {"identity": "builtin:tiny@1", "pipeline": make_release().pipeline}
    (folder / "export" / "model.json").write_text(json.dumps(described))
    return {"export": folder / "export", "quantize": quantized}


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    return write_tracks(tmp_path_factory.mktemp("tracks"), ("fog", "rain", "snow"))


def measured(place, inputs, **measures):
    recipe = make_recipe(
        place,
        variants={"fp16": {"weights": "fp16"}, "int4": {"weights": "int4", "method": "rtn"}},
        measure={"seeds": SEEDS, "duration_sec": DURATION_SEC, **measures},
    )
    return run_stage(measure, recipe, place / "run", inputs=inputs)


def fad(project=True, **bounds):
    return {"max_increase": bounds or {"fp16": 0.01}, "project": project}


@pytest.fixture(scope="module")
def heard(tmp_path_factory, graphs, tracks):
    return measured(tmp_path_factory.mktemp("heard"), graphs | tracks, fad=fad())


@pytest.fixture(scope="module")
def listing(heard):
    return json.loads((heard.work / "measure.json").read_text())


def test_every_variant_has_its_fad_with_all_that_it_rests_on(listing):
    for name in ("fp16", "int4"):
        found = listing["variants"][name]["fad"]
        assert found["value"] > 0
        assert (found["n"], found["counted"], found["better"]) == (WINDOWS, "windows", "lower")
        assert found["embedding"] == "lofi-sound-v1/random-4"
        assert found["against"] == "the held-out tracks"
        assert len(found["reference_hash"]) == 12
        assert found["interval"]["low"] <= found["value"] <= found["interval"]["high"]
        assert found["interval"]["drawn"] == "clips"
        assert found["details"]["clips"] == SEEDS
        assert found["details"]["reference_clips"] == 3
        assert (found["details"]["window_sec"], found["details"]["hop_sec"]) == (3.0, 1.5)
        assert found["float32"] == listing["float32"]["fad"]


def test_an_equal_variant_has_no_change_and_a_far_one_has_one_with_an_interval(listing):
    equal = listing["variants"]["fp16"]["fad"]["change"]
    assert (equal["value"], equal["relative"], equal["relative_interval"]) == (0.0, 0.0, [0.0, 0.0])
    assert equal["verdict"] == "no difference beyond chance"
    far = listing["variants"]["int4"]["fad"]
    change, base = far["change"], far["float32"]["value"]
    assert change["value"] == pytest.approx(far["value"] - base, rel=1e-4)
    assert change["relative"] == pytest.approx(change["value"] / base, rel=1e-4)
    assert (change["n"], change["counted"]) == (SEEDS, "pairs of clips")
    assert change["relative_interval"][0] < change["relative"] < change["relative_interval"][1]


def test_the_reference_hash_is_of_the_tracks_sounds_wherever_they_lie(listing, tracks, tmp_path):
    for name in ("fog", "rain", "snow"):
        shutil.copy(tracks["curate"] / "tracks" / f"{name}.flac", tmp_path)
    found = listing["variants"]["int4"]["fad"]["reference_hash"]
    assert ClipFolder(tmp_path).content_hash() == found


def test_a_few_clips_of_each_bundle_stay_to_be_heard_with_their_facts(heard, listing):
    assert not (heard.work / "rendered").exists()
    for bundle in ("float32", "fp16", "int4"):
        kept = ClipFolder(heard.work / "clips" / bundle)
        assert kept.names == ("0000-core-01", "0001-core-02")
        facts = kept.facts("0001-core-02")
        assert (facts.prompt, facts.style, facts.seed) == (listing["prompts"][1], "CORE-02", 1)
        samples, rate = soundfile.read(kept.file("0000-core-01"))
        assert (rate, samples.shape) == (48_000, (48_000 * DURATION_SEC, 2))
    assert "clips/int4/0000-core-01.flac" in heard.outcome.measured_files


def test_figures_are_the_same_again(heard, listing, tmp_path, graphs, tracks):
    again = measured(tmp_path, graphs | tracks, fad=fad())
    second = json.loads((again.work / "measure.json").read_text())
    for part in ("variants", "float32"):
        assert second[part] == listing[part]
    assert again.outcome.facts == heard.outcome.facts
    assert set(heard.outcome.facts["fad"]) == {"fp16", "int4"}


def test_a_variant_whose_increase_is_over_its_bound_is_refused_with_its_interval(
    tmp_path, graphs, tracks, listing
):
    far = listing["variants"]["int4"]["fad"]
    relative, (low, high) = far["change"]["relative"], far["change"]["relative_interval"]
    bound = relative / 2
    with pytest.raises(GateError) as caught:
        measured(tmp_path, graphs | tracks, fad=fad(fp16=0.0, int4=bound))
    (line,) = str(caught.value).splitlines()
    chance = "beyond chance" if low > 0 else "which chance may explain"
    assert line.startswith(
        f"measure: variant int4: its fad is {far['value']:.4g}, float32's is "
        f"{far['float32']['value']:.4g} (8 windows, 4 clips, lofi-sound-v1/random-4, against the "
        f"held-out tracks {far['reference_hash']}): {100 * relative:.3g} % more (95 % interval "
        f"{100 * low:.3g} % to {100 * high:.3g} %, {chance}), measure.fad.max_increase.int4 allows "
        f"{100 * bound:.3g} % - "
    )
    assert not (tmp_path / "run" / "work" / "measure.json").exists()


def test_without_a_held_out_track_the_training_tracks_stand_in_and_it_is_said(tmp_path, graphs):
    data = write_tracks(tmp_path, ())
    run = measured(tmp_path, graphs | data, fad=fad())
    assert run.warnings == [
        "fad: no tracks are held out, so distances are to the training tracks: a model that "
        "repeats those scores best"
    ]
    found = json.loads((run.work / "measure.json").read_text())["variants"]["fp16"]["fad"]
    assert found["against"] == "the training tracks"
    assert found["details"]["reference_clips"] == len(TRACKS)


def test_too_few_held_out_windows_are_refused_before_anything_is_rendered(tmp_path, graphs, tracks):
    with pytest.raises(StageError) as caught:
        measured(tmp_path, graphs | tracks, fad=fad(project=False))
    message = str(caught.value)
    assert message.startswith("measure.fad: the held-out tracks (3) give 21 windows of 3 s, the ")
    assert message.endswith(
        "hold more of them out (dataset.holdout_share), or set measure.fad.project: true"
    )


def test_one_held_out_track_is_no_reference(tmp_path, graphs):
    data = write_tracks(tmp_path, ("fog",))
    with pytest.raises(StageError, match=r"the held-out tracks are 1, at least 2 are needed"):
        measured(tmp_path, graphs | data, fad=fad())


def silenced(inputs, place, *names):
    """The same graphs, the vocoders of some bundles giving nothing."""
    import onnx
    from onnx import numpy_helper

    quiet = {name: shutil.copytree(path, place / name) for name, path in inputs.items()}
    for name in names:
        path = (quiet["export"] if name == "export" else quiet["quantize"] / name) / "vocoder.onnx"
        model = onnx.load(path)
        for weight in model.graph.initializer:
            value = numpy_helper.to_array(weight)
            if value.dtype == np.float32:
                weight.CopyFrom(numpy_helper.from_array(0 * value, weight.name))
        onnx.save(model, path)
    return quiet


def test_a_variant_that_is_silent_is_refused_by_name(tmp_path, graphs, tracks):
    quiet = silenced(graphs, tmp_path, "int4")
    with pytest.raises(GateError) as caught:
        measured(tmp_path, quiet | tracks, fad=fad())
    (line,) = str(caught.value).splitlines()
    assert line.startswith("measure: variant int4: int4: 0000-core-01: silent, nothing above")


def test_silence_from_float32_itself_ends_the_stage(tmp_path, graphs, tracks):
    quiet = silenced(graphs, tmp_path, "export")
    with pytest.raises(StageError, match=r"^measure: float32: 0000-core-01: silent") as caught:
        measured(tmp_path, quiet | tracks, fad=fad())
    assert not isinstance(caught.value, GateError)


def test_without_a_bound_on_sound_nothing_is_decoded(tmp_path, graphs, tracks):
    run = measured(tmp_path, graphs | tracks)
    assert not (run.work / "clips").exists()
    assert json.loads((run.work / "measure.json").read_text())["float32"] == {}


@pytest.fixture(scope="module")
def clap_folder(tmp_path_factory):
    return save_tiny_clap(tmp_path_factory.mktemp("models") / "clap")


def scored(place, inputs, clap_folder, **bounds):
    """The same prompts heard by a tiny random CLAP model, in windows of 10 s."""
    place.mkdir(exist_ok=True)
    shutil.copytree(clap_folder, place / "clap")
    gate = {"max_drop": bounds, "model": "clap"}
    return measured(place, inputs, seeds=3, duration_sec=10, clap=gate)


@pytest.fixture(scope="module")
def turned_round(tmp_path_factory, graphs):
    """The same graphs, float32 being what the random model likes better."""
    folder = tmp_path_factory.mktemp("turned-round")
    shutil.copytree(graphs["quantize"] / "int4", folder / "export")
    shutil.copy(graphs["export"] / "model.json", folder / "export")
    shutil.copytree(folder / "export", folder / "quantize" / "fp16")
    shutil.copytree(graphs["quantize"] / "fp16", folder / "quantize" / "int4")
    return {"export": folder / "export", "quantize": folder / "quantize"}


@pytest.fixture(scope="module")
def clap_listing(tmp_path_factory, turned_round, clap_folder):
    run = scored(tmp_path_factory.mktemp("scored"), turned_round, clap_folder, fp16=0.0)
    return json.loads((run.work / "measure.json").read_text())


def test_every_variant_has_its_clap_score_and_its_drop(clap_listing):
    base = clap_listing["float32"]["clap"]
    assert base["value"] == pytest.approx(sum(base["each"].values()) / 3, rel=1e-4)
    equal, far = (clap_listing["variants"][name]["clap"] for name in ("fp16", "int4"))
    assert equal["change"]["relative"] == 0.0
    assert (far["n"], far["counted"], far["better"]) == (3, "clips", "higher")
    assert far["embedding"].startswith("clap:clap@")
    assert list(far["each"]) == ["0000-core-01", "0001-core-02", "0002-core-03"]
    assert far["change"]["value"] == pytest.approx(far["value"] - base["value"], abs=1e-5)
    low, high = (far["change"]["interval"][end] for end in ("low", "high"))
    assert low <= far["change"]["value"] <= high
    assert "fad" not in clap_listing["variants"]["int4"]


def test_a_clap_drop_over_its_bound_is_refused(tmp_path, turned_round, clap_folder, clap_listing):
    base, other = (clap_listing["variants"][name]["clap"]["value"] for name in ("fp16", "int4"))
    assert 0 < other < base
    with pytest.raises(GateError) as caught:
        scored(tmp_path, turned_round, clap_folder, int4=0.0)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(
        f"measure: variant int4: its clap is {other:.4g}, float32's is {base:.4g} (3 clips, "
        "clap:clap@"
    )
    assert "% less (95 % interval" in line
    assert "measure.clap.max_drop.int4 allows 0 %" in line


def test_a_model_that_is_no_clap_ends_the_stage_before_anything_is_rendered(
    tmp_path, graphs, clap_folder
):
    config = json.loads((clap_folder / "config.json").read_text())
    shutil.copytree(clap_folder, tmp_path / "clap")
    (tmp_path / "clap" / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(StageError, match=r"^measure: CLAP model: .* is a model of type 'bert'"):
        measured(tmp_path, graphs, clap={"max_drop": {"int4": 0.1}, "model": "clap"})


def test_settings_pin_what_listens(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    ref = tmp_path / "hub" / "models--laion--clap-htsat-unfused" / "refs" / "main"
    ref.parent.mkdir(parents=True)
    ref.write_text("c0ffee")
    recipe = make_recipe(
        tmp_path,
        measure={
            "fad": {"max_increase": {"int8": 0.05}, "embedding": "clap"},
            "clap": {"max_drop": {"int8": 0.03}},
        },
    )
    taken = measure.settings(recipe)
    assert taken.fad is not None
    assert taken.clap is not None
    assert taken.fad.embedding == "clap"
    assert taken.clap.model == "hf:laion/clap-htsat-unfused@c0ffee"
    assert measure.sources(recipe) == (recipe.home / "clap",)


def test_the_stage_is_given_what_it_listens_against():
    from lofi_engine.plan import PIPELINE

    assert {"curate", "split", "export", "quantize"} <= set(PIPELINE["measure"])
