from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clap import ClapScore
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.embedded import embed_set
from lofi_engine.metrics.embeddings.clap import ClapEmbedding
from lofi_engine.metrics.unrelated import CAPTIONS, likeness, unrelated_sounds
from tests.support.tiny_metric_models import CLAP_DIMENSIONS, CLAP_RATE, save_tiny_clap

PROMPTS = ("dusty drums and a warm piano", "rain, vinyl and a slow guitar", "bright bells")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clap(tmp_path_factory.mktemp("models") / "tiny-clap")


@pytest.fixture(scope="module")
def embedding(folder: Path) -> ClapEmbedding:
    return ClapEmbedding(folder)


@cache
def long_sounds() -> Any:
    return unrelated_sounds(CLAP_RATE, 24)


def clips(*lasting_sec: float, label: str = "ours", prompts: tuple[str, ...] = PROMPTS) -> Any:
    sounds = long_sounds()
    return ClipsInMemory(
        label,
        [
            Clip(
                f"{number}.wav",
                sounds[number : number + 1, : round(CLAP_RATE * seconds)],
                CLAP_RATE,
                ClipFacts(prompt=prompts[number], seed=number),
            )
            for number, seconds in enumerate(lasting_sec)
        ],
    )


def silent(done: int, of: int, name: str) -> None:
    pass


def test_scores_are_what_transformers_gives_as_logits_over_their_scale(
    folder: Path, embedding: ClapEmbedding
) -> None:
    import torch
    from transformers import ClapModel, ClapProcessor

    judged = clips(10, 10, 10)
    (figure,) = ClapScore(embedding).measure(judged, None, silent)
    model = ClapModel.from_pretrained(folder).eval()
    inputs = ClapProcessor.from_pretrained(folder)(
        text=list(PROMPTS),
        audio=[judged.clip(name).samples[0] for name in judged.names],
        sampling_rate=CLAP_RATE,
        return_tensors="pt",
        padding=True,
    )
    with torch.no_grad():
        logits = model(**inputs).logits_per_audio / model.logit_scale_a.exp()
    expected = dict(zip(judged.names, logits.diagonal().tolist(), strict=True))
    assert figure.each == pytest.approx(expected, abs=1e-5)
    assert figure.value == pytest.approx(sum(expected.values()) / 3, abs=1e-5)


def test_a_long_clip_is_the_mean_of_its_windows(embedding: ClapEmbedding) -> None:
    judged = clips(24, 10)  # windows start at 0, 5, 10 s; what follows 20 s fills none
    (figure,) = ClapScore(embedding).measure(judged, None, silent)
    samples = judged.clip("0.wav").samples
    windows = np.stack([samples[:, at * CLAP_RATE : (at + 10) * CLAP_RATE] for at in (0, 5, 10)])
    mean = embedding.embed(windows).mean(axis=0)
    text = embedding.embed_texts(PROMPTS[:1])[0]
    assert figure.each["0.wav"] == pytest.approx(text @ mean / np.linalg.norm(mean), abs=1e-9)


def test_a_figure_carries_all_one_must_know_to_trust_it(embedding: ClapEmbedding) -> None:
    (figure,) = ClapScore(embedding).measure(clips(10, 10, 10), None, silent)
    assert (figure.metric, figure.n, figure.counted, figure.better) == (
        "clap",
        3,
        "clips",
        "higher",
    )
    assert figure.interval is not None
    assert figure.interval.low < figure.value < figure.interval.high
    assert figure.embedding == embedding.name
    assert embedding.name.startswith("clap:tiny-clap@")
    assert dict(figure.details) == {
        "window_sec": 10.0,
        "hop_sec": 5.0,
        "longest_prompt_tokens": 64,
        "prompts_cut": 0,
    }


def test_stereo_at_another_rate_scores_as_its_mono_fold_does(embedding: ClapEmbedding) -> None:
    from lofi_runtime.pipeline.resample import resample

    mono = unrelated_sounds(44_100, 10.1)[1:2]
    left, right = mono * 1.2, mono * 0.8
    facts = ClipFacts(prompt=PROMPTS[0])
    stereo = Clip("a", np.concatenate([left, right]), 44_100, facts)
    folded = Clip("b", resample(mono, 44_100, CLAP_RATE), CLAP_RATE, facts)
    metric = ClapScore(embedding)
    assert metric.score(stereo) == pytest.approx(metric.score(folded), abs=1e-4)


def test_a_set_is_no_better_than_itself(embedding: ClapEmbedding) -> None:
    first, second = clips(10, 10, label="int8"), clips(10, 10, label="float32")
    (difference,) = ClapScore(embedding).compare(first, second, None, silent)
    assert (difference.value, difference.n, difference.is_worse) == (0, 2, False)
    assert (difference.interval.low, difference.interval.high) == (0, 0)


def test_comparing_pairs_the_clips(embedding: ClapEmbedding) -> None:
    first = clips(10, 10, 10)
    noise = long_sounds()[0:1, : 10 * CLAP_RATE]
    second = ClipsInMemory(
        "noisy",
        [
            Clip(name, first.clip(name).samples + noise, CLAP_RATE, first.facts(name))
            for name in first.names
        ],
    )
    (difference,) = ClapScore(embedding).compare(second, first, None, silent)
    changes = [difference.first.each[name] - difference.second.each[name] for name in first.names]
    assert difference.value == pytest.approx(sum(changes) / 3)
    assert difference.interval.low <= difference.value <= difference.interval.high


def test_other_prompts_make_no_pairs(embedding: ClapEmbedding) -> None:
    other = clips(10, 10, label="other", prompts=("calm", PROMPTS[1]))
    with pytest.raises(MetricError, match=r"ours and other: prompts differ: 0.wav"):
        ClapScore(embedding).compare(clips(10, 10), other, None, silent)


def test_clips_without_a_prompt_are_named(embedding: ClapEmbedding) -> None:
    judged = clips(10, 10, prompts=("  ", "calm"))
    with pytest.raises(MetricError, match=r"ours: 1 clip without a prompt: 0.wav - write each"):
        ClapScore(embedding).measure(judged, None, silent)


def test_a_clip_shorter_than_a_window_is_refused_by_name(embedding: ClapEmbedding) -> None:
    with pytest.raises(MetricError, match=r"ours: 1.wav: 9.90 s, shorter than the 10 s window"):
        ClapScore(embedding).measure(clips(10, 9.9), None, silent)


def test_one_clip_and_a_silent_one_are_refused(embedding: ClapEmbedding) -> None:
    with pytest.raises(MetricError, match=r"clap: ours: only one clip"):
        ClapScore(embedding).measure(clips(10), None, silent)
    zeros = Clip("z", np.zeros((1, CLAP_RATE * 10), np.float32), CLAP_RATE, ClipFacts(prompt="a"))
    with pytest.raises(MetricError, match=r"x: z: silent"):
        ClapScore(embedding).measure(ClipsInMemory("x", [zeros]), None, silent)


def test_progress_is_told_after_every_clip(embedding: ClapEmbedding) -> None:
    told: list[tuple[int, int, str]] = []
    ClapScore(embedding).measure(
        clips(10, 10), None, lambda done, of, name: told.append((done, of, name))
    )
    assert told == [(1, 2, "0.wav"), (2, 2, "1.wav")]


def test_a_longer_prompt_than_the_model_reads_is_cut_and_counted(embedding: ClapEmbedding) -> None:
    long = "slow drums and rain on the window of a small room above the harbour at night, "
    assert embedding.is_cut(long)
    kept = long[: embedding.longest_text - 2]  # a letter a token, less the start and the end
    found = embedding.embed_texts([long, long + "with a flute", kept])
    assert found[0] == pytest.approx(found[1], abs=1e-12)
    assert found[0] == pytest.approx(found[2], abs=1e-6)
    judged = clips(10, 10, prompts=(long, "calm"))
    (figure,) = ClapScore(embedding).measure(judged, None, silent)
    assert figure.details["prompts_cut"] == 1


def test_windows_embed_alike_alone_and_in_company(embedding: ClapEmbedding) -> None:
    sounds = unrelated_sounds(CLAP_RATE, 10)[:, None]
    together = embedding.embed(sounds)
    assert together.shape == (5, CLAP_DIMENSIONS)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1)
    alone = np.concatenate([embedding.embed(sound[None]) for sound in sounds])
    assert together == pytest.approx(alone, abs=1e-5)
    assert embedding.embed(sounds[:0]).shape == (0, CLAP_DIMENSIONS)


def test_texts_embed_alike_alone_and_in_company(embedding: ClapEmbedding) -> None:
    assert embedding.embed_texts(PROMPTS)[2] == pytest.approx(embedding.embed_texts(PROMPTS[2:])[0])


def test_windows_the_extractor_would_repeat_or_crop_at_random_are_refused(
    embedding: ClapEmbedding,
) -> None:
    for seconds in (9, 11):
        with pytest.raises(MetricError, match=r"cut mono windows of 10 s at 48000 Hz"):
            embedding.embed(np.zeros((1, 1, seconds * CLAP_RATE), np.float32))


def test_a_model_with_fusion_hears_the_same_window_the_same_every_time(tmp_path: Path) -> None:
    fused = ClapEmbedding(save_tiny_clap(tmp_path / "fused", fused=True))
    sounds = unrelated_sounds(CLAP_RATE, 10)[:3, None]
    assert (fused.embed(sounds) == fused.embed(sounds)).all()


def test_it_serves_wherever_an_embedding_does(embedding: ClapEmbedding) -> None:
    embedded = embed_set(clips(20, 15), embedding, silent)
    assert {name: each.shape for name, each in embedded.vectors.items()} == {
        "0.wav": (3, CLAP_DIMENSIONS),
        "1.wav": (2, CLAP_DIMENSIONS),
    }
    assert embedded.embedding_name == embedding.name


@pytest.mark.parametrize(
    ("half", "what"), [("text", "6 unrelated captions"), ("audio", "5 unrelated sounds")]
)
def test_a_collapsed_model_is_refused_with_the_cosine_found(
    tmp_path: Path, half: str, what: str
) -> None:
    folder = save_tiny_clap(tmp_path / "collapsed", collapsed=half)
    with pytest.raises(MetricError) as refusal:
        ClapEmbedding(folder)
    assert f"{what} embed alike, with a median cosine of 1.0000" in str(refusal.value)
    assert "use another model" in refusal.value.hint


def test_weights_that_are_not_numbers_are_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    damaged = Path(shutil.copytree(folder, tmp_path / "damaged"))
    weights = load_file(damaged / "model.safetensors")
    weights["audio_projection.linear2.bias"][3] = float("nan")
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MetricError, match=r"a sound embeds as NaN, infinity or zero - the model"):
        ClapEmbedding(damaged)


def test_likeness_is_the_median_cosine_of_all_pairs() -> None:
    right_angles = np.eye(3) * [[1], [2], [3]]
    assert likeness(right_angles) == 0
    one_outlier = np.array([[1.0, 0], [2, 0], [3, 0], [5, 0], [0, 1]])
    assert likeness(one_outlier) == pytest.approx(1)
    assert likeness(np.array([[1.0, 0], [1, 1]])) == pytest.approx(0.5**0.5)


def test_the_probe_sounds_and_captions_differ() -> None:
    sounds = unrelated_sounds(16_000, 3)
    assert sounds.shape == (5, 48_000)
    assert np.abs(np.triu(np.corrcoef(sounds), 1)).max() < 0.2
    assert np.abs(sounds).max() <= 1
    assert len(set(CAPTIONS)) == 6
