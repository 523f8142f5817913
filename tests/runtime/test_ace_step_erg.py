"""Entropy-rectified guidance: who reads what with which queries, and that it is heard."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lofi_runtime.ace_step import AceStepBackend
from lofi_runtime.backend import Request
from lofi_runtime.bundle import MANIFEST_NAME, Bundle, open_bundle
from lofi_runtime.pipeline.erg import NO_ERG, QUERY_SCALE, Erg
from lofi_runtime.pipeline.lyrics import LyricTokenizer
from lofi_runtime.pipeline.text import TextTokenizer
from tests.support.tiny_bundle import NAME, make_tiny_bundle

TEXT, ENCODER = "text_encoder.onnx", "transformer_encoder.onnx"
WHOLE, STEP = "transformer_decoder.onnx", "transformer_decoder_step.onnx"
REQUEST = Request("lofi rain, piano", 2, 42, lyrics="[verse]\nhello", inference_steps=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("erg") / NAME, query_scale=True, step=True)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in graphs without optional inputs, and without the decoder's parts."""
    return make_tiny_bundle(tmp_path_factory.mktemp("older") / NAME)


def quiet(*_: object) -> None:
    pass


def latents(folder: Path, request: Request = REQUEST, **options: Any) -> np.ndarray:
    backend = AceStepBackend(open_bundle(folder), threads=1, **options)
    return backend.latents(request, quiet).latents


class Recorder:
    """Stands before the sessions of a backend and keeps what each graph was asked."""

    def __init__(self, backend: AceStepBackend) -> None:
        self._sessions = backend._sessions
        self.calls: list[tuple[str, tuple[np.ndarray, ...], dict[str, np.ndarray]]] = []
        backend._sessions = backend._decoder._sessions = self

    def run(self, file: str, *inputs: np.ndarray, optional: Any = None, outputs: Any = None) -> Any:
        self.calls.append((file, inputs, dict(optional or {})))
        return self._sessions.run(file, *inputs, optional=optional or {}, outputs=outputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sessions, name)

    def of(self, file: str) -> list[tuple[tuple[np.ndarray, ...], Any]]:
        """Inputs and scale (None: the default) of every call of `file`."""
        return [
            (inputs, optional.get("query_scale"))
            for called, inputs, optional in self.calls
            if called == file
        ]


def recorded(folder: Path, request: Request = REQUEST, **options: Any) -> Recorder:
    backend = AceStepBackend(open_bundle(folder), threads=1, **options)
    recorder = Recorder(backend)
    backend.latents(request, quiet)
    return recorder


def scales(calls: list[tuple[Any, Any]]) -> list[list[float] | None]:
    return [None if scale is None else scale.tolist() for _, scale in calls]


def test_the_reference_weakens_all_three_by_a_hundredth(folder: Path) -> None:
    assert Erg() == Erg(text=True, lyric=True, diffusion=True)
    assert pytest.approx(0.01) == QUERY_SCALE
    record = recorded(folder)
    weak = pytest.approx([0.01])
    assert scales(record.of(TEXT)) == [None, weak]
    assert scales(record.of(ENCODER)) == [None, weak]
    rows = pytest.approx([1.0, 0.01])
    assert scales(record.of(STEP)) == [None, None, rows, rows, rows, rows, None, None]


def test_the_weak_context_has_the_same_lyrics_masks_and_weakly_read_text(folder: Path) -> None:
    record = recorded(folder)
    (ids, mask), (weak_ids, weak_mask) = (inputs for inputs, _ in record.of(TEXT))
    np.testing.assert_array_equal(ids, weak_ids)
    np.testing.assert_array_equal(mask, weak_mask)
    strong, weak = (inputs for inputs, _ in record.of(ENCODER))
    np.testing.assert_allclose(weak[0], strong[0] * 0.505, rtol=1e-5)
    for number in (1, 3, 4):
        np.testing.assert_array_equal(strong[number], weak[number])
    assert strong[3].any()
    assert strong[4].all()
    assert not strong[2].any()
    assert not weak[2].any()


def test_without_text_the_weak_context_has_zero_states_and_the_same_lyrics(folder: Path) -> None:
    record = recorded(folder, erg=Erg(text=False))
    assert scales(record.of(TEXT)) == [None]
    assert scales(record.of(ENCODER)) == [None, pytest.approx([0.01])]
    strong, weak = (inputs for inputs, _ in record.of(ENCODER))
    assert strong[0].any()
    assert not weak[0].any()
    np.testing.assert_array_equal(strong[3], weak[3])


@pytest.mark.parametrize("text", [True, False])
def test_without_lyric_the_other_context_is_told_nothing_at_full_attention(
    folder: Path, text: bool
) -> None:
    record = recorded(folder, erg=Erg(text=text, lyric=False))
    assert scales(record.of(TEXT)) == [None]
    assert scales(record.of(ENCODER)) == [None, None]
    strong, weak = (inputs for inputs, _ in record.of(ENCODER))
    assert not weak[0].any()
    assert not weak[3].any()
    for number in (1, 4):
        np.testing.assert_array_equal(strong[number], weak[number])
    assert scales(record.of(STEP))[2] == pytest.approx([1.0, 0.01])


def test_without_diffusion_every_step_reads_with_full_attention(folder: Path) -> None:
    record = recorded(folder, erg=Erg(diffusion=False))
    assert scales(record.of(STEP)) == [None] * 8
    assert scales(record.of(ENCODER)) == [None, pytest.approx([0.01])]


def test_an_instrumental_is_weakened_under_its_masks_of_zero(folder: Path) -> None:
    record = recorded(folder, replace(REQUEST, lyrics=""))
    strong, weak = (inputs for inputs, _ in record.of(ENCODER))
    for inputs in (strong, weak):
        assert inputs[3].tolist() == [[0]]
        assert inputs[4].tolist() == [[0]]
    assert scales(record.of(ENCODER)) == [None, pytest.approx([0.01])]


def test_what_is_not_guided_is_encoded_once(folder: Path) -> None:
    record = recorded(folder, replace(REQUEST, guidance_scale=1.0))
    assert scales(record.of(TEXT)) == scales(record.of(ENCODER)) == [None]
    assert {len(inputs[0]) for inputs, _ in record.of(STEP)} == {1}


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_all_off_is_what_older_graphs_give_and_each_part_is_heard(
    folder: Path, older: Path, limit: int
) -> None:
    options = {"max_key_value_bytes": limit}
    plain = latents(older)
    np.testing.assert_allclose(latents(folder, erg=NO_ERG, **options), plain, atol=1e-5)
    text_alone = Erg(text=True, lyric=False, diffusion=False)
    np.testing.assert_allclose(latents(folder, erg=text_alone, **options), plain, atol=1e-5)
    heard = [
        latents(folder, erg=erg, **options)
        for erg in (Erg(), Erg(text=False), Erg(lyric=False), Erg(diffusion=False))
    ]
    for number, one in enumerate(heard):
        assert np.abs(one - plain).max() > 1e-3
        for other in heard[:number]:
            assert np.abs(one - other).max() > 1e-3


def test_graphs_without_the_input_are_guided_plainly(older: Path) -> None:
    record = recorded(older)
    for file in (TEXT, ENCODER, WHOLE):
        assert set(map(str, scales(record.of(file)))) == {"None"}
    np.testing.assert_array_equal(latents(older), latents(older, erg=NO_ERG))


def test_a_foreign_folder_that_takes_one_row_at_a_time_is_weakened_too(
    folder: Path, tmp_path: Path
) -> None:
    bare = shutil.copytree(folder, tmp_path / "bare")
    (bare / MANIFEST_NAME).unlink()
    tiny = open_bundle(folder).config

    class Foreign(Bundle):
        config = tiny  # ACE-Step v1's own widths are not the tiny graphs'

    backend = AceStepBackend(Foreign(bare, None, False), threads=1)
    recorder = Recorder(backend)
    made = backend.latents(REQUEST, quiet).latents
    np.testing.assert_allclose(made, latents(folder), atol=1e-5)
    guided = scales(recorder.of(WHOLE))[2:4]
    assert guided == [pytest.approx([1.0]), pytest.approx([0.01])]


def test_prompts_and_lyrics_that_are_cut_are_said(folder: Path) -> None:
    backend = AceStepBackend(open_bundle(folder), threads=1)
    text = TextTokenizer((folder / "tokenizer.json").read_text())
    prompt = "rain " * 400
    count = text.count(prompt)
    assert count > 256
    denoised = backend.latents(replace(REQUEST, prompt=prompt), quiet)
    assert denoised.warnings == (f"prompt cut: {count} tokens, this model takes 256",)
    cut = backend.latents(replace(REQUEST, prompt="rain " * 900), quiet).latents
    np.testing.assert_array_equal(denoised.latents, cut)

    lyrics = "\n".join(["la la la la"] * 400)
    tokens = LyricTokenizer((folder / "lyric_vocabulary.json").read_text()).encode(lyrics)
    assert len(tokens) > 4096
    denoised = backend.latents(replace(REQUEST, lyrics=lyrics), quiet)
    assert denoised.warnings == (f"lyrics cut: {len(tokens)} tokens, this model takes 4096",)
    more = backend.latents(replace(REQUEST, lyrics=lyrics + "\nrain"), quiet).latents
    np.testing.assert_array_equal(denoised.latents, more)


def test_the_longest_prompt_and_lyrics_are_not_cut(folder: Path) -> None:
    backend = AceStepBackend(open_bundle(folder), threads=1)
    text = TextTokenizer((folder / "tokenizer.json").read_text())
    prompt = " ".join(["rain"] * 255)
    assert text.count(prompt) == 256
    lyrics = LyricTokenizer((folder / "lyric_vocabulary.json").read_text())
    song = "\n".join(["a"] * 1364) + "\n"
    while len(lyrics.encode(song)) < 4096:
        song += "\n"
    assert len(lyrics.encode(song)) == 4096
    request = replace(REQUEST, prompt=prompt, lyrics=song, inference_steps=1)
    assert backend.latents(request, quiet).warnings == ()
