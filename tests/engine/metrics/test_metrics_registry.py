"""Every metric by name; modules are imported when asked for."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.registry import (
    METRIC_NAMES,
    MODEL_OPTIONS,
    MetricOptions,
    check_name,
    make_metrics,
    metric_facts,
)
from lofi_engine.metrics.shelf import Shelf

_BETTER = re.compile(r"; (lower|higher) is better\b")


def test_every_metric_says_what_it_is_without_a_model():
    for name in METRIC_NAMES:
        facts = metric_facts(name)
        assert facts.name == name
        assert facts.title
        assert bool(facts.needs.model) == (name in MODEL_OPTIONS), name


def test_every_metric_that_needs_no_model_is_made_and_bears_its_name():
    names = [name for name in METRIC_NAMES if name not in MODEL_OPTIONS]
    made = make_metrics(names, MetricOptions())
    assert [metric.name for metric in made] == names


def test_a_figures_name_means_the_metric_that_gives_it_and_twice_is_once():
    made = make_metrics(["fad-infinity", "mel", "fad", "mel"], MetricOptions())
    assert [metric.name for metric in made] == ["fad", "mel"]


@pytest.mark.parametrize(
    ("figure", "metric"),
    [
        ("style-collapse-distance", "style-collapse"),
        ("style-collapse-diversity", "style-collapse"),
        ("tempo-error", "tempo"),
        ("aesthetics-quality", "aesthetics"),
    ],
)
def test_every_figure_that_a_metric_gives_leads_to_it(figure, metric):
    assert check_name(figure) == metric


def test_every_title_says_which_way_is_better():
    titles = [metric_facts(name).title for name in METRIC_NAMES]
    assert [title for title in titles if not _BETTER.search(title)] == []


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list():
    with pytest.raises(MetricError) as caught:
        make_metrics(["mel", "mrsft"], MetricOptions())
    assert str(caught.value).startswith(
        "there is no metric 'mrsft' - did you mean 'mrstft'? there are fad, clap, "
    )


def test_what_is_like_no_name_gets_the_list_alone():
    with pytest.raises(MetricError, match="there is no metric 'qq' - there are fad, "):
        make_metrics(["qq"], MetricOptions())


@pytest.mark.parametrize(("name", "option"), [("lyrics", "recognizer"), ("aesthetics",) * 2])
def test_a_metric_without_its_model_says_which_option_names_it(name, option):
    with pytest.raises(MetricError, match=f"{name}: no model is given - name .* --{option}"):
        make_metrics([name], MetricOptions())


def test_the_given_embedding_is_used():
    embedding = Shelf().embedding("lofi-sound-v1")
    (metric,) = make_metrics(["fad"], MetricOptions(embedding="not there"), embedding)
    assert "lofi-sound-v1" in metric.title


def test_importing_the_registry_imports_no_metric():
    code = "import sys, lofi_engine.metrics.registry; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert not {"torch", "transformers", "scipy", "librosa"} & set(modules)
    assert "lofi_engine.metrics.fad" not in modules
