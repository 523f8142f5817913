"""The backend over graphs that were really exported and cut: the built-in tiny base's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lofi_engine.onnx_graphs.context import split_context
from lofi_runtime.ace_step import AceStepBackend
from lofi_runtime.backend import Request
from lofi_runtime.bundle import Bundle
from lofi_runtime.decoder import STEP, WHOLE
from lofi_runtime.manifest import PipelineConfig
from lofi_runtime.pipeline.erg import NO_ERG, Erg
from tests.support.exported_tiny import exported_tiny

REQUEST = Request("lofi rain, piano", 5, 42, lyrics="[verse]\nhello rain", inference_steps=6)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = shutil.copytree(exported_tiny()[0], tmp_path_factory.mktemp("exported") / "tiny")
    if not (folder / STEP).exists():
        split_context(folder / WHOLE)
    figures: dict[str, Any] = json.loads((folder / "model.json").read_text())["pipeline"]
    return Bundle(folder, None, False, stated_config=PipelineConfig(**figures))


def quiet(*_: object) -> None:
    pass


def latents(bundle: Bundle, **options: Any) -> np.ndarray:
    return AceStepBackend(bundle, threads=1, **options).latents(REQUEST, quiet).latents


def test_real_graphs_give_the_same_latents_whole_and_in_two_parts(bundle: Bundle) -> None:
    parts = latents(bundle)
    assert np.abs(parts).max() > 0.1
    assert np.abs(parts - latents(bundle, max_key_value_bytes=0)).max() < 1e-5


def test_every_part_of_the_guidance_is_heard_in_real_graphs(bundle: Bundle) -> None:
    rendered = [
        latents(bundle, erg=erg)
        for erg in (Erg(), NO_ERG, Erg(text=False), Erg(lyric=False), Erg(diffusion=False))
    ]
    for number, one in enumerate(rendered):
        for other in rendered[:number]:
            assert np.abs(one - other).max() > 1e-2


def test_with_every_part_off_the_whole_decoder_is_given_five_inputs_and_says_the_same(
    bundle: Bundle,
) -> None:
    older = Path(shutil.copytree(bundle.folder, bundle.folder.with_name("foreign")))
    (older / STEP).unlink()
    plain = AceStepBackend(
        Bundle(older, None, False, stated_config=bundle.config), threads=1, erg=NO_ERG
    )
    assert not plain._bundle.has_step_graphs
    made = plain.latents(REQUEST, quiet).latents
    np.testing.assert_allclose(made, latents(bundle, erg=NO_ERG), atol=1e-5)


def test_a_track_of_several_pieces_is_whole(bundle: Bundle) -> None:
    heard: list[tuple[str, int, int]] = []
    request = Request("rain", 15, 1, inference_steps=2)
    audio = AceStepBackend(bundle, threads=1).generate(request, lambda *step: heard.append(step))
    assert audio.samples.shape == (2, 15 * 48_000)
    assert np.isfinite(audio.samples).all()
    decoded = [step for step in heard if step[0] == "decode"]
    assert [done for _, done, _ in decoded] == list(range(decoded[0][2]))
