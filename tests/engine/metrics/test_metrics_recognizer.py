from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.recognizer import SpeechRecognizer, quiet_cuts
from lofi_engine.metrics.unrelated import unrelated_sounds
from lofi_runtime.pipeline.resample import resample
from tests.support.tiny_metric_models import (
    SPEECH_RATE,
    save_tiny_clap,
    save_tiny_ctc,
    save_tiny_whisper,
)


@pytest.fixture(scope="module")
def ctc(tmp_path_factory: pytest.TempPathFactory) -> SpeechRecognizer:
    return SpeechRecognizer(save_tiny_ctc(tmp_path_factory.mktemp("models") / "ctc"))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> SpeechRecognizer:
    return SpeechRecognizer(save_tiny_whisper(tmp_path_factory.mktemp("models") / "whisper"))


def test_ctc_hears_what_its_own_processor_and_model_decode(tmp_path: Path) -> None:
    import torch
    from transformers import Wav2Vec2ForCTC, Wav2Vec2Processor

    folder = save_tiny_ctc(tmp_path / "ctc")
    sound = unrelated_sounds(SPEECH_RATE, 3)[4:5]
    model = Wav2Vec2ForCTC.from_pretrained(folder).eval()
    processor = Wav2Vec2Processor.from_pretrained(folder)
    inputs = processor(sound[0], sampling_rate=SPEECH_RATE, return_tensors="pt")
    with torch.no_grad():
        expected = processor.batch_decode(model(**inputs).logits.argmax(-1))[0]
    assert "zz" in expected.replace("<unk>", "")
    heard = SpeechRecognizer(folder).hear(sound, SPEECH_RATE)
    assert heard == " ".join(expected.replace("<unk>", "").split())


def test_any_rate_and_any_channels_become_its_own(ctc: SpeechRecognizer) -> None:
    sound = unrelated_sounds(48_000, 3)[4:5]
    stereo = np.concatenate([sound * 1.5, sound * 0.5])
    folded = resample(stereo.mean(axis=0, keepdims=True), 48_000, SPEECH_RATE)
    assert ctc.sample_rate == SPEECH_RATE
    assert ctc.hear(stereo, 48_000) == ctc.hear(folded, SPEECH_RATE)


def test_whisper_hears_a_long_sound_in_pieces_of_its_own_window(whisper: SpeechRecognizer) -> None:
    sound = unrelated_sounds(SPEECH_RATE, 5)[2:3]
    cuts = quiet_cuts(sound[0], SPEECH_RATE, 2)
    pieces = [whisper.hear(sound[:, start:end], SPEECH_RATE) for start, end in pairwise(cuts)]
    assert whisper.longest_sec == 2
    assert len(pieces) == 3
    assert whisper.hear(sound, SPEECH_RATE) == " ".join(pieces)


@pytest.mark.parametrize("duration_sec", [1, 30, 30.01, 47, 61, 200])
def test_pieces_cover_the_sound_and_none_is_too_long(duration_sec: float) -> None:
    mono = np.random.default_rng(0).standard_normal(round(1000 * duration_sec)).astype(np.float32)
    cuts = quiet_cuts(mono, 1000, 30)
    lengths = np.diff(cuts)
    assert (cuts[0], cuts[-1]) == (0, len(mono))
    assert lengths.max() <= 30_000
    assert lengths.min() >= min(len(mono), 12_000)
    assert (len(cuts) == 2) == (duration_sec <= 30)


def test_a_cut_lies_where_it_is_quiet() -> None:
    mono = np.ones(40_000, dtype=np.float32)
    mono[21_000:21_300] = 0  # a breath, one second after the middle
    (_, cut, _) = quiet_cuts(mono, 1000, 30)
    assert 21_000 <= cut <= 21_300


def test_letters_it_cannot_write_are_counted(
    ctc: SpeechRecognizer, whisper: SpeechRecognizer
) -> None:
    assert ctc.unwritable(("don't", "3")) == 0
    assert ctc.unwritable(("夜", "lofi")) == pytest.approx(1 / 5)
    assert ctc.unwritable(("3",)) == 0
    assert whisper.unwritable(("夜", "lofi")) == 0
    whisper._model.generation_config.is_multilingual = False
    try:
        assert whisper.unwritable(("夜", "lofi")) == pytest.approx(1 / 5)
    finally:
        del whisper._model.generation_config.is_multilingual


def test_too_short_a_sound_is_refused(ctc: SpeechRecognizer) -> None:
    with pytest.raises(MetricError, match=r"^0.25 s of sound hold no words - use clips"):
        ctc.hear(np.ones((1, 4000), np.float32), SPEECH_RATE)


def test_a_model_that_is_no_recogniser_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"speech recogniser: .* is a ClapModel - name a Whisper"):
        SpeechRecognizer(save_tiny_clap(tmp_path / "clap"))


def test_weights_named_as_older_files_name_them_are_all_read(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_tiny_ctc(tmp_path / "ctc")
    sound = unrelated_sounds(SPEECH_RATE, 3)[4:5]
    before = SpeechRecognizer(folder).hear(sound, SPEECH_RATE)
    file = folder / "model.safetensors"
    conv = "wav2vec2.encoder.pos_conv_embed.conv"
    older = {
        name.replace(f"{conv}.parametrizations.weight.original0", f"{conv}.weight_g").replace(
            f"{conv}.parametrizations.weight.original1", f"{conv}.weight_v"
        ): weight
        for name, weight in load_file(file).items()
        if name != "wav2vec2.masked_spec_embed"  # as in the files of published ones
    }
    assert f"{conv}.weight_g" in older
    save_file(older, file, metadata={"format": "pt"})
    assert SpeechRecognizer(folder).hear(sound, SPEECH_RATE) == before
