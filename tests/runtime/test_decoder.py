"""The decoder whole or in two parts: the same velocities, one form in memory at a time."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lofi_runtime.ace_step import AceStepBackend
from lofi_runtime.backend import Request
from lofi_runtime.bundle import MANIFEST_NAME, Bundle, open_bundle
from lofi_runtime.decoder import (
    CONTEXT,
    MAX_KEY_VALUE_BYTES,
    STEP,
    WHOLE,
    Context,
    Decoder,
    key_value_bytes,
)
from lofi_runtime.errors import BackendError, BundleError
from lofi_runtime.sessions import Sessions
from tests.support.tiny_bundle import CONTEXT_WIDTH, NAME, make_tiny_bundle

REQUEST = Request("lofi rain, piano", 2, 42, lyrics="[verse]\nhello rain", inference_steps=6)
LATENTS = np.random.default_rng(1).normal(size=(2, 8, 16, 5)).astype(np.float32)
TIMESTEP = np.full(2, 500.0, np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("step") / NAME, query_scale=True, step=True)


def make_context(tokens: int = 4) -> Context:
    states = np.random.default_rng(2).normal(size=(2, tokens, CONTEXT_WIDTH))
    return Context(
        states.astype(np.float32), np.ones((2, tokens), np.float32), np.float32([1.0, 0.01])
    )


def make_decoder(folder: Path, **limits: int) -> tuple[Decoder, Sessions]:
    bundle = open_bundle(folder)
    sessions = Sessions(bundle, threads=1)
    return Decoder(bundle, sessions, **limits), sessions


def loaded(sessions: Sessions) -> list[str]:
    return [file for file in (WHOLE, CONTEXT, STEP) if sessions.is_loaded(file)]


def latents(folder: Path, **options: object) -> np.ndarray:
    backend = AceStepBackend(open_bundle(folder), threads=1, **options)
    return backend.latents(REQUEST, lambda *_: None).latents


@pytest.mark.parametrize("guidance_scale", [15.0, 1.0])
@pytest.mark.parametrize("scheduler", ["euler", "heun"])
def test_both_forms_give_the_same_latents(
    folder: Path, guidance_scale: float, scheduler: str
) -> None:
    request = replace(REQUEST, guidance_scale=guidance_scale, scheduler=scheduler)
    made = [
        AceStepBackend(open_bundle(folder), threads=1, max_key_value_bytes=limit)
        .latents(request, lambda *_: None)
        .latents
        for limit in (MAX_KEY_VALUE_BYTES, 0)
    ]
    assert np.abs(made[0] - made[1]).max() < 1e-5
    assert np.abs(made[0]).max() > 0.1


def test_the_context_is_encoded_once_a_track_and_the_whole_decoder_is_not_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    run = Sessions.run

    def watched(self: Sessions, file: str, *inputs: np.ndarray, **named: object) -> object:
        calls.append(file)
        return run(self, file, *inputs, **named)

    monkeypatch.setattr(Sessions, "run", watched)
    latents(folder)
    assert calls.count(CONTEXT) == 1
    assert calls.count(STEP) == REQUEST.inference_steps
    assert WHOLE not in calls


def test_unguided_rows_are_views(folder: Path) -> None:
    decoder, _ = make_decoder(folder)
    both = decoder.prepare(make_context())
    assert both.file == STEP
    one = both.first(1)
    assert [len(value) for value in one.values] == [1, 1]
    assert all(map(np.shares_memory, one.values, both.values))


def test_each_row_has_its_own_scale_and_a_row_alone_gives_the_same(folder: Path) -> None:
    for limit in (MAX_KEY_VALUE_BYTES, 0):
        decoder, _ = make_decoder(folder, max_key_value_bytes=limit)
        both = decoder.prepare(make_context())
        together = decoder.velocity(LATENTS, TIMESTEP, both)
        alone = decoder.velocity(LATENTS[:1], TIMESTEP[:1], both.first(1))
        np.testing.assert_allclose(together[:1], alone, atol=1e-6)
        plain = decoder.velocity(LATENTS, TIMESTEP, replace(both, query_scale=None))
        np.testing.assert_allclose(together[0], plain[0], atol=1e-6)
        np.testing.assert_allclose(together[1], plain[1] * 0.505, atol=1e-5)


def test_the_bytes_of_keys_and_values_are_stated() -> None:
    per_token = key_value_bytes(layers=24, rows=2, tokens=1, width=2560)
    assert per_token == 960 * 1024
    assert MAX_KEY_VALUE_BYTES // per_token == 1092
    assert key_value_bytes(24, 2, 1 + 256 + 4096, 2560) / 2**30 == pytest.approx(3.99, abs=0.01)


def test_above_the_limit_the_whole_decoder_is_used_and_alone_in_memory(folder: Path) -> None:
    tokens = 4
    fits = key_value_bytes(1, 2, tokens, CONTEXT_WIDTH)
    decoder, sessions = make_decoder(folder, max_key_value_bytes=fits)
    heard: list[list[str]] = []
    answers = []
    for count in (tokens, tokens + 1, tokens + 2, tokens):
        conditioning = decoder.prepare(make_context(count), lambda: heard.append(loaded(sessions)))
        answers.append(decoder.velocity(LATENTS, TIMESTEP, conditioning))
        assert loaded(sessions) == ([CONTEXT, STEP] if count == tokens else [WHOLE])
    np.testing.assert_array_equal(answers[0], answers[3])
    # Said before graphs are loaded, and only then.
    assert heard == [[CONTEXT], [CONTEXT, STEP], [WHOLE]]


def test_a_long_context_is_said_as_loading(folder: Path) -> None:
    backend = AceStepBackend(open_bundle(folder), threads=1, max_key_value_bytes=1)
    backend.load()
    heard: list[tuple[str, int, int]] = []
    backend.latents(REQUEST, lambda *step: heard.append(step))
    assert heard[:3] == [("encode", 0, 1), ("load", 0, 1), ("denoise", 0, 6)]
    heard.clear()
    backend.latents(REQUEST, lambda *step: heard.append(step))
    assert heard[:2] == [("encode", 0, 1), ("denoise", 0, 6)]


def test_a_decoder_loaded_late_must_be_the_one_that_was_checked(
    folder: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(folder, tmp_path / NAME)
    backend = AceStepBackend(open_bundle(bundle), threads=1, max_key_value_bytes=1)
    backend.load()
    (bundle / WHOLE).write_bytes((bundle / WHOLE).read_bytes())
    with pytest.raises(BundleError, match=rf"{WHOLE}: changed"):
        backend.latents(REQUEST, lambda *_: None)


def test_loading_tells_the_graphs_that_are_used(folder: Path) -> None:
    for limit, total in ((MAX_KEY_VALUE_BYTES, 7), (0, 6)):
        heard: list[tuple[str, int, int]] = []
        backend = AceStepBackend(open_bundle(folder), threads=1, max_key_value_bytes=limit)
        backend.load(lambda *step, heard=heard: heard.append(step))
        assert heard == [("load", number, total) for number in range(total)]


def test_the_parts_are_used_only_where_both_are_listed(folder: Path, tmp_path: Path) -> None:
    bundle = open_bundle(folder)
    assert bundle.has_step_graphs
    manifest = bundle.manifest
    for field in ("graphs", "files"):
        kept = {name: value for name, value in getattr(manifest, field).items() if name != STEP}
        other = replace(bundle, manifest=replace(manifest, **{field: kept}))
        assert not other.has_step_graphs
    unpublished = Bundle(folder, None, False, stated_config=bundle.config)
    assert unpublished.has_step_graphs
    assert not Bundle(make_tiny_bundle(tmp_path / NAME), None, False, bundle.config).has_step_graphs
    foreign = shutil.copytree(folder, tmp_path / "foreign")
    (foreign / MANIFEST_NAME).unlink()
    assert not open_bundle(foreign, verify=False).has_step_graphs


def test_parts_that_do_not_fit_together_are_refused(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / NAME)
    shutil.copy(broken / WHOLE, broken / STEP)
    bundle = Bundle(broken, None, False, stated_config=open_bundle(folder).config)
    decoder = Decoder(bundle, Sessions(bundle, threads=1))
    with pytest.raises(BackendError, match=rf"{CONTEXT}: has no output .*'encoder_hidden_mask'"):
        decoder.prepare(make_context())
