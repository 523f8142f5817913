"""A model is loaded once, however many metrics listen with it."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clap import ClapScore
from lofi_engine.metrics.clips import Clip, ClipFacts
from lofi_engine.metrics.embeddings.clap import ClapEmbedding
from lofi_engine.metrics.registry import MetricOptions, make_metrics
from lofi_engine.metrics.shelf import Shelf
from lofi_engine.metrics.windows import cut_windows
from tests.support.tiny_metric_models import save_tiny_clap


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_clap(tmp_path_factory.mktemp("models") / "tiny-clap")


@pytest.fixture
def loaded(monkeypatch):
    """Collect the places that models are loaded from."""
    places = []
    load = ClapEmbedding.__init__

    def noted(self, location, **options):
        places.append(location)
        load(self, location, **options)

    monkeypatch.setattr(ClapEmbedding, "__init__", noted)
    return places


def test_fad_and_clap_of_one_model_load_it_once_whatever_they_call_it(folder, loaded):
    detour = str(folder / ".." / folder.name)
    options = MetricOptions(embedding=str(folder), clap=detour)
    fad, clap = make_metrics(["fad", "clap"], options)
    assert (fad.name, clap.name) == ("fad", "clap")
    assert loaded == [str(folder)]


def test_metrics_made_one_by_one_share_a_shelf(folder, loaded):
    shelf, options = Shelf(), MetricOptions(embedding=str(folder), clap=str(folder))
    for name in ("clap", "fad", "style-recall"):
        make_metrics([name], options, shelf=shelf)
    assert loaded == [str(folder)]


def test_a_clip_that_was_embedded_for_fad_is_not_embedded_again_for_clap(folder, monkeypatch):
    embed, counts = ClapEmbedding.embed, []

    def counted(self, windows):
        counts.append(len(windows))
        return embed(self, windows)

    shelf = Shelf()
    (clap,) = make_metrics(["clap"], MetricOptions(clap=str(folder)), shelf=shelf)
    space = shelf.embedding(str(folder))
    samples = np.random.default_rng(1).normal(0, 0.1, (1, 720_000)).astype(np.float32)
    clip = Clip("rain", samples, 48_000, ClipFacts(prompt="rain"))
    alone = ClapScore(shelf.clap(str(folder))).score(clip)
    monkeypatch.setattr(ClapEmbedding, "embed", counted)
    space.embed(cut_windows(clip, space))
    assert clap.score(clip) == pytest.approx(alone)
    assert counts == [2]


def test_what_is_not_built_in_is_looked_for_as_a_model(tmp_path):
    assert Shelf().embedding("lofi-sound-v1").name == "lofi-sound-v1"
    with pytest.raises(MetricError, match=r"CLAP model: the folder .*nowhere is not there"):
        Shelf().embedding(str(tmp_path / "nowhere"))
