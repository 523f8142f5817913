"""The bench on the built-in tiny base: pieces, kept sounds, untrained twins, seams, one figure."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.base_quality import tempos
from lofi_engine.base_quality.bench import Ask, Bench
from lofi_engine.base_quality.material import Material, stretch
from lofi_engine.base_quality.run import QualityAsked, load, measure_base
from lofi_engine.base_quality.seams import seam_db
from lofi_engine.base_quality.settings import QualitySettings
from lofi_engine.base_quality.untrained import TRAINED, UNTRAINED, UNTRAINED_TRANSFORMER, variant
from lofi_engine.errors import StageError
from lofi_engine.pretraining.settings import BaseSettings
from lofi_runtime.shared_data import shared_folder
from tests.support.tiny_training import one_thread

SETTINGS = QualitySettings(clips=8, duration_sec=5, inference_steps=1)


@pytest.fixture(scope="module")
def base():
    return load("builtin:tiny", "cpu")


@pytest.fixture(scope="module")
def material():
    return Material(BaseSettings.read(shared_folder("recipes") / "nano-base.yaml"), SETTINGS)


def test_held_out_pieces_are_never_taught_and_there_is_no_end_to_them(material):
    held_out, taught = material.held_out(500), material.taught(500)
    assert all(piece.held_out for piece in held_out)
    assert not {piece.seed for piece in held_out} & {piece.seed for piece in taught}
    assert len({piece.name for piece in held_out}) == 500
    assert material.held_out(20) == held_out[:20]


def test_a_kind_that_does_not_exist_is_refused_with_what_was_found(material):
    with pytest.raises(StageError, match=r"1 pieces \(held out\) wanted, 0 found"):
        material.held_out(1, lambda _piece: False)


def test_a_stretch_has_the_asked_length_and_is_the_same_every_time(material):
    (piece,) = material.held_out(1)
    first, again = stretch(piece, 5), stretch(piece, 5)
    assert first.shape == (2, 240_000)
    assert np.array_equal(first, again)


def test_a_sound_is_made_once_and_read_from_the_shelf_after_that(base, material, tmp_path):
    heard: list[str] = []
    bench = Bench(base, material, SETTINGS, tmp_path, lambda *said: heard.append(said[-1]))
    asks = [Ask("one", "lofi, rain", "", 1), Ask("two", "lofi, rain", "[verse]\nla la", 1)]
    with one_thread():
        first = bench.generate("clips", asks)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")}
    assert len(files) == 2
    again = Bench(base, material, SETTINGS, tmp_path).generate("clips", asks)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")} == files
    assert np.array_equal(first.clip("two").samples, again.clip("two").samples)
    assert first.facts("two").lyrics == "[verse]\nla la"
    assert heard[-1] == "generate clips"


def test_untrained_twins_have_other_weights_in_what_is_untrained_alone(base):
    def same(one, other):
        pairs = zip(one.parameters(), other.parameters(), strict=True)
        return all(bool((a == b).all()) for a, b in pairs)

    twin = variant(base, UNTRAINED_TRANSFORMER, 0)
    assert not same(base.transformer, twin.transformer)
    assert same(base.dcae, twin.dcae)
    fresh = variant(base, UNTRAINED, 0)
    assert not same(base.dcae, fresh.dcae)
    assert not same(base.vocoder, fresh.vocoder)
    assert not same(base.text.network, fresh.text.network)
    assert same(fresh.transformer, variant(base, UNTRAINED, 0).transformer)
    assert variant(base, TRAINED, 0) is base


def test_a_track_decoded_in_pieces_has_no_seam(base, material):
    (piece,) = material.held_out(1)
    with one_thread():
        latents = base.encode_audio(stretch(piece, 13), 48_000)[None]
        left_db, borders = seam_db(base, latents.numpy())
    assert borders == 1
    assert left_db < -90.0


def test_a_tempo_is_near_within_5_percent_and_chance_is_what_others_get():
    assert tempos.is_near(83.9, 80.0)
    assert not tempos.is_near(84.1, 80.0)
    assert not tempos.is_near(0.0, 80.0)
    assert tempos._chance([80.0, 90.0, 80.0], [80.0, 90.0, 80.0]) == pytest.approx(2 / 6)


def test_a_figure_is_measured_written_and_kept_at_the_second_start(tmp_path):
    asked = QualityAsked("builtin:tiny", tmp_path, figures="tempo", settings=SETTINGS, device="cpu")
    with one_thread():
        first = measure_base(asked)
        steps: list[str] = []
        again = measure_base(asked, lambda *said: steps.append(said[-1]))
    assert steps == []
    assert again.as_json() == first.as_json()
    share = first.results["tempo"].rows[0]
    assert share.n == 8
    assert set(share.beside) == {"the pieces themselves", "chance"}
    page = (tmp_path / "quality.md").read_text()
    assert "lofi-recipe base measure builtin:tiny --clips 8 --duration-sec 5 --steps 1" in page
    assert "builtin:tiny@1" in page


def test_a_base_or_a_device_that_is_not_there_is_refused():
    with pytest.raises(StageError, match="'builtin:none' is not built in"):
        load("builtin:none")
    with pytest.raises(StageError, match="device: 'tpu' is unknown"):
        load("builtin:tiny", "tpu")
