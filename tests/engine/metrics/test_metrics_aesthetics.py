from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.aesthetics import Aesthetics
from lofi_engine.metrics.clips import Clip, ClipsInMemory
from lofi_engine.metrics.unrelated import unrelated_sounds
from tests.support.programs import require
from tests.support.tiny_metric_models import (
    AESTHETIC_AXES,
    save_tiny_aesthetics,
    shrunk_wavlm,
)

RATE = 16_000
NAMES = [
    "aesthetics-enjoyment",
    "aesthetics-usefulness",
    "aesthetics-complexity",
    "aesthetics-quality",
]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*mismatched key_padding_mask:UserWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    require("aesthetics")
    with shrunk_wavlm():
        yield


@pytest.fixture(scope="module")
def folder(small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_aesthetics(tmp_path_factory.mktemp("models") / "tiny-aesthetics")


@pytest.fixture(scope="module")
def metric(folder: Path) -> Aesthetics:
    return Aesthetics(folder)


def clips(*lasting_sec: float, label: str = "ours") -> ClipsInMemory:
    sounds = unrelated_sounds(RATE, 25)
    return ClipsInMemory(
        label,
        [
            Clip(f"{at}.wav", sounds[at : at + 1, : round(RATE * seconds)], RATE)
            for at, seconds in enumerate(lasting_sec)
        ],
    )


def silent(done: int, of: int, name: str) -> None:
    pass


def test_scores_are_what_the_packages_own_inference_gives(
    folder: Path, metric: Aesthetics, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from audiobox_aesthetics.model.aes import AesMultiOutput, Normalize

    # Its inference imports torchaudio to read files, which is not what is looked at here.
    monkeypatch.setitem(sys.modules, "torchaudio", types.ModuleType("torchaudio"))
    from audiobox_aesthetics.infer import make_inference_batch

    judged = clips(23, 4)
    sounds = [torch.from_numpy(judged.clip(name).samples) for name in judged.names]
    windows, masks, weights, places = (
        torch.stack(each) if isinstance(each[0], torch.Tensor) else torch.tensor(each)
        for each in make_inference_batch(sounds, 10, 10, sample_rate=RATE)
    )
    model = AesMultiOutput.from_pretrained(folder).eval()
    with torch.inference_mode():
        predicted = model({"wav": windows, "mask": masks})
    assert weights.tolist() == pytest.approx([1, 1, 0.3, 0.4])
    for axis, figure in zip(AESTHETIC_AXES, metric.measure(judged, None, silent), strict=True):
        points = Normalize(**model.target_transform[axis]).inverse(predicted[axis])
        for place, name in enumerate(judged.names):
            here = places == place
            expected = (points[here] * weights[here]).sum() / weights[here].sum()
            assert figure.each[name] == pytest.approx(float(expected), abs=1e-4)


def test_a_set_gets_four_figures(metric: Aesthetics) -> None:
    figures = metric.measure(clips(10, 10), None, silent)
    assert [figure.metric for figure in figures] == NAMES
    assert [figure.better for figure in figures] == ["higher", "higher", "", "higher"]
    for figure in figures:
        assert (figure.n, figure.counted, figure.judged) == (2, "clips", "ours")
        assert figure.value == pytest.approx(sum(figure.each.values()) / 2)
        assert figure.interval is not None
        assert figure.interval.low < figure.value < figure.interval.high
        assert figure.details["window_sec"] == 10
        assert figure.details["model"].startswith("tiny-aesthetics@")


def test_stereo_at_another_rate_scores_as_its_mono_fold_does(metric: Aesthetics) -> None:
    from lofi_runtime.pipeline.resample import resample

    mono = unrelated_sounds(44_100, 5)[4:5]
    stereo = Clip("a", np.concatenate([mono * 1.2, mono * 0.8]), 44_100)
    folded = Clip("b", resample(mono, 44_100, RATE), RATE)
    assert metric.score(stereo) == pytest.approx(metric.score(folded), abs=1e-3)


def test_a_set_is_no_better_than_itself(metric: Aesthetics) -> None:
    differences = metric.compare(clips(5, 5, label="int8"), clips(5, 5), None, silent)
    assert [difference.metric for difference in differences] == NAMES
    assert {difference.value for difference in differences} == {0}


def test_nothing_is_printed_where_json_may_go(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Aesthetics(folder)
    assert capfd.readouterr().out == ""


def test_one_clip_and_a_silent_one_are_refused(metric: Aesthetics) -> None:
    with pytest.raises(MetricError, match=r"aesthetics-enjoyment: ours: only one clip"):
        metric.measure(clips(5), None, silent)
    zeros = Clip("z", np.zeros((1, RATE), np.float32), RATE)
    with pytest.raises(MetricError, match=r"x: z: silent"):
        metric.measure(ClipsInMemory("x", [zeros]), None, silent)


def test_a_model_that_scores_unrelated_sounds_alike_is_refused(tmp_path: Path) -> None:
    constant = save_tiny_aesthetics(tmp_path / "constant", constant=True)
    with pytest.raises(MetricError, match=r"constant@\w{8} scores 5 unrelated sounds alike"):
        Aesthetics(constant)


def test_missing_weights_are_refused_rather_than_drawn_at_random(
    folder: Path, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    lacking = Path(shutil.copytree(folder, tmp_path / "lacking"))
    weights = load_file(lacking / "model.safetensors")
    del weights["proj_layer.PQ.0.weight"]
    save_file(weights, lacking / "model.safetensors")
    with pytest.raises(MetricError, match=r"lacking cannot be loaded: .*proj_layer.PQ.0.weight"):
        Aesthetics(lacking)


def test_a_model_without_its_scales_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    bare = Path(shutil.copytree(folder, tmp_path / "bare"))
    config = json.loads((bare / "config.json").read_text())
    del config["target_transform"]["PQ"]
    (bare / "config.json").write_text(json.dumps(config))
    with pytest.raises(MetricError, match=r"target_transform has no mean and std for each of CE, "):
        Aesthetics(bare)


def test_without_the_package_it_is_said_how_to_install_it_without_torchaudio(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(MetricError, match=r"not installed - pip install --no-deps audiobox-aesth"):
        Aesthetics(folder)
