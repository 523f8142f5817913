"""A suite rendered on the tiny base: what lies there, what it disturbs, what a resume does."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import soundfile
import torch

from lofi_engine.errors import StageError
from lofi_engine.training import samples
from lofi_engine.training.adapters import adapter_weights, add_adapter, set_adapter_weights
from lofi_engine.training.loop import Trainer
from lofi_engine.training.sample_prompts import clip_length
from lofi_engine.training.samples import PROMPT, SampleSuite, render_prompt
from tests.support.browser import browser_page
from tests.support.tiny_training import LORA, make_trainer, one_thread, tiny_base, write_encoded

STYLES = ("CORE-01", "SEASON-01", "THEME-01", "INST-01", "VOCAL-01")


@pytest.fixture(scope="module", autouse=True)
def few_steps():
    with pytest.MonkeyPatch.context() as patch, one_thread():
        patch.setattr(samples, "INFERENCE_STEPS", 2)
        yield


def adapted_base(strength=0.3):
    base = tiny_base()
    model = add_adapter(base.transformer, LORA, 1)
    draws = torch.Generator().manual_seed(2)
    weights = {
        name: strength * torch.randn(tensor.shape, generator=draws) if "lora_B" in name else tensor
        for name, tensor in adapter_weights(model).items()
    }
    set_adapter_weights(model, weights)
    return base, model


def make_suite(folder, base, model, **options):
    options = {"style_ids": ["CORE-01", "CORE-01", "VOCAL-01"], "duration_sec": 5, **options}
    return SampleSuite(base, model, folder, **options)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A folder with the base and two steps, the second with the adapter at zero; what was told."""
    folder = tmp_path_factory.mktemp("some samples") / "samples"
    base, model = adapted_base()
    told = []
    suite = make_suite(folder, base, model, on_clip=lambda *clip: told.append(clip))
    suite.render(40)
    weights = {name: tensor * ("lora_A" in name) for name, tensor in adapter_weights(model).items()}
    set_adapter_weights(model, weights)
    suite.render(80)
    return folder, told


def record_of(folder):
    return json.loads((folder / "samples.json").read_text())


def test_a_clip_is_as_long_as_what_training_sees_within_limits():
    assert [clip_length(seconds) for seconds in (1.0, 5.4, 8.0, 60.0)] == [5, 5, 8, 20]


def test_the_base_s_clips_lie_beside_every_step_s(rendered):
    folder, told = rendered
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == {
        "index.html",
        "samples.json",
        *(
            f"{name}/{style}.{end}"
            for name in ("base", "step-0000040", "step-0000080")
            for style in STYLES
            for end in ("flac", "png")
        ),
    }
    rounds = [(0, 10), (1, 10), (2, 10), (3, 10), (4, 10), (5, 10), (6, 10), (7, 10), (8, 10)]
    assert told[:9] == [(*at, STYLES[at[0] % 5]) for at in rounds]
    assert told[10:] == [(number, 5, style) for number, style in enumerate(STYLES)]


def test_a_clip_says_what_made_it(rendered):
    with soundfile.SoundFile(rendered[0] / "step-0000040" / "CORE-01.flac") as file:
        assert (file.samplerate, file.channels, file.frames) == (48_000, 2, 240_000)
        assert file.comment.startswith(
            "AI-generated music; model: builtin:tiny@1 with an adapter at step-0000040;"
        )
        assert "lofi hip hop" in file.title
    with soundfile.SoundFile(rendered[0] / "base" / "CORE-01.flac") as file:
        assert file.artist == "builtin:tiny@1"


def test_distances_say_what_an_adapter_changed_and_that_a_zero_one_changes_nothing(rendered):
    rounds = record_of(rendered[0])["rounds"]
    changed, zero = rounds["step-0000040"], rounds["step-0000080"]
    assert all(changed[style]["distance_db"] > 0.1 for style in STYLES)
    assert all(zero[style]["distance_db"] == 0.0 for style in STYLES)
    base, same = (
        soundfile.read(rendered[0] / name / "CORE-01.flac")[0] for name in ("base", "step-0000080")
    )
    assert np.array_equal(base, same)


def test_the_page_asks_for_nothing_that_does_not_lie_beside_it(rendered):
    text = (rendered[0] / "index.html").read_text()
    assert "://" not in text
    wanted = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(wanted) == 2 * 5 * 3
    assert all((rendered[0] / name).is_file() for name in wanted)
    assert "<!--" not in text


def test_the_page_says_what_was_asked_and_how(rendered):
    text = (rendered[0] / "index.html").read_text()
    for said in (
        "builtin:tiny@1", "entropy-rectified guidance",
        "5 prompts, clips of 5 s, seed 0, 2 denoising steps",
        "2 training tracks", "1 training track<", "not trained on", "Rain on the window",
        "step 40", "step 80", "0.0 dB from the base",
    ):  # fmt: skip
        assert said in text, said


def test_a_browser_plays_the_base_and_steps_to_the_same_moment_of_the_adapter(rendered, tmp_path):
    with browser_page(tmp_path / "profile") as page:
        page.open((rendered[0] / "index.html").as_uri())
        page.wait("document.querySelectorAll('figure').length === 15")
        assert page.evaluate(
            "[...document.querySelectorAll('#CORE-01 figcaption')].map((one) => one.innerText)"
        )[0].startswith("base")
        page.press(" ")
        page.wait("document.querySelector('#CORE-01 audio').currentTime > 0.4")
        page.press("ArrowRight")
        second = "document.querySelectorAll('#CORE-01 audio')[1]"
        page.wait(f"{second}.currentTime > 0.4 && !{second}.paused")
        assert (
            page.evaluate("[...document.querySelectorAll('audio')].filter((a) => !a.paused).length")
            == 1
        )
        page.press("j")
        page.wait("document.querySelector('#SEASON-01 figure.current') !== null")
        pictures = "[...document.images].filter((one) => one.complete && one.naturalWidth === 640)"
        assert page.evaluate(f"{pictures}.length") >= 4
        assert page.complaints == []


def test_a_later_start_renders_the_base_no_more(rendered, tmp_path):
    folder = shutil.copytree(rendered[0], tmp_path / "samples")
    before = (folder / "base" / "CORE-01.flac").stat().st_mtime_ns
    told = []
    make_suite(folder, *adapted_base(), on_clip=lambda *clip: told.append(clip)).render(120)
    assert [total for _, total, _ in told] == [5] * 5
    assert (folder / "base" / "CORE-01.flac").stat().st_mtime_ns == before
    assert list(record_of(folder)["rounds"]) == [
        "base",
        "step-0000040",
        "step-0000080",
        "step-0000120",
    ]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "samples.json").write_text("{torn"),
        lambda folder: (folder / "samples.json").write_text("[]"),
        lambda folder: (folder / "base" / "INST-01.flac").unlink(),
    ],
    ids=["torn", "no record", "a clip gone"],
)
def test_what_is_damaged_is_rendered_again(rendered, tmp_path, damage, monkeypatch):
    folder = shutil.copytree(rendered[0], tmp_path / "samples")
    damage(folder)
    asked = []
    monkeypatch.setattr(SampleSuite, "_render_round", lambda _s, _r, name, *_: asked.append(name))
    make_suite(folder, *adapted_base()).render(120)
    assert asked == ["base", "step-0000120"]


def test_clips_of_another_length_do_not_stand_beside_these(rendered, tmp_path, monkeypatch):
    folder = shutil.copytree(rendered[0], tmp_path / "samples")
    asked = []
    monkeypatch.setattr(SampleSuite, "_render_round", lambda _s, _r, name, *_: asked.append(name))
    make_suite(folder, *adapted_base(), duration_sec=6).render(120)
    assert asked == ["base", "step-0000120"]
    assert record_of(folder)["rounds"] == {}


def test_a_page_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(StageError, match="is not a page of samples and will not be replaced"):
        make_suite(tmp_path, *adapted_base()).render(1)
    assert (tmp_path / "index.html").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_rendering_moves_no_random_state_mode_or_weight(tmp_path):
    base, model = adapted_base()
    model.train()
    weights = {name: tensor.clone() for name, tensor in base.transformer.state_dict().items()}
    wanted = [name for name, part in base.transformer.named_parameters() if part.requires_grad]
    torch.manual_seed(9)
    np.random.seed(9)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    make_suite(tmp_path, base, model).render(1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert all(part.training for part in base.transformer.modules())
    after = base.transformer.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in weights.items())
    assert wanted == [
        name for name, part in base.transformer.named_parameters() if part.requires_grad
    ]
    assert not any(part.is_inference() for part in base.dcae.parameters())


def test_a_training_that_renders_learns_the_same_bits(tmp_path):
    tracks = write_encoded(tmp_path / "encoded", lyrics=4)

    def trained(place, report_of):
        trainer: Trainer = make_trainer(tmp_path / "encoded", tracks, tmp_path / place, steps=3)
        trainer.run(5, report_of(trainer))
        return adapter_weights(trainer.model)

    def rendering(trainer):
        suite = make_suite(tmp_path / "samples", trainer.base, trainer.model)
        return lambda said: suite.render(said.step) if said.step == 2 else None

    silent = trained("1", lambda _trainer: lambda _said: None)
    heard = trained("2", rendering)
    assert silent.keys() == heard.keys()
    assert all(torch.equal(silent[name], heard[name]) for name in silent)


def test_a_render_that_fails_leaves_the_network_as_it_was(tmp_path, monkeypatch):
    base, model = adapted_base()
    model.train()
    state = torch.get_rng_state()

    def no_memory(_latents):
        torch.rand(3)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(base, "decode_audio", no_memory)
    with pytest.raises(RuntimeError, match="out of memory"):
        make_suite(tmp_path, base, model).render(1)
    assert all(part.training for part in base.transformer.modules())
    assert torch.equal(torch.get_rng_state(), state)
    active = [one for one in base.transformer.modules() if hasattr(one, "disable_adapters")]
    assert active
    assert not any(one.disable_adapters for one in active)
    assert not (tmp_path / "samples.json").exists()


def test_a_base_without_a_lyric_vocabulary_sings_nothing(tmp_path, monkeypatch):
    base, model = adapted_base()
    monkeypatch.setattr(base, "lyric_vocabulary", None)
    monkeypatch.setattr(SampleSuite, "_render_round", lambda *_: None)
    make_suite(tmp_path, base, model).render(1)
    assert [one["lyrics"] for one in record_of(tmp_path)["prompts"]] == [""] * 5


def test_the_merge_s_probe_is_a_prompt_too():
    base, _ = adapted_base()
    audio = render_prompt(base, PROMPT, duration_sec=5, steps=1)
    assert audio.samples.shape == (2, 240_000)
    other = render_prompt(base, PROMPT, duration_sec=5, steps=1, seed=1)
    assert not np.array_equal(audio.samples, other.samples)
