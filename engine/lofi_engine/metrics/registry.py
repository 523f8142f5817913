"""Every metric by name. A metric's module is imported when it is asked for, not before."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.protocol import Embedding, Metric, Needs
from lofi_engine.metrics.shelf import SOUND_EMBEDDING, Shelf

CLAP_MODEL = "hf:laion/clap-htsat-unfused"


@dataclass(frozen=True)
class MetricOptions:
    """What metrics are made with.

    Args:
        embedding: "lofi-sound-v1", or where a CLAP model is: a folder or "hf:owner/name".
        clap: where the CLAP model of the metric "clap" is; "" for the default, `CLAP_MODEL`.
        recognizer: the folder of a speech recogniser; "" for none.
        aesthetics: the folder of an audiobox-aesthetics model; "" for none.
        project: reduce an embedding that has too many dimensions for the windows there are.
        seed: of whatever is drawn.
    """

    embedding: str = SOUND_EMBEDDING
    clap: str = ""
    recognizer: str = ""
    aesthetics: str = ""
    project: bool = False
    seed: int = 0


@dataclass(frozen=True)
class MetricFacts:
    """What is known of a metric before it is made.

    Args:
        name: as it is written on the command line.
        title: what it says, in one line.
        needs: what it cannot do without.
        sees: the degradations that it claims to rank.
    """

    name: str
    title: str
    needs: Needs
    sees: frozenset[str]


def make_metrics(
    names: Sequence[str],
    options: MetricOptions,
    embedding: Embedding | None = None,
    shelf: Shelf | None = None,
) -> list[Metric]:
    """Make metrics in the order asked for; a name that comes twice is made once.

    Args:
        names: of `METRIC_NAMES`, or of a figure that a metric gives beside its own.
        options: what they are made with.
        embedding: made already, in place of `options.embedding`.
        shelf: of embeddings loaded before; a new one if not given.

    Raises:
        MetricError: there is no such metric (names the nearest), or what it is made of is not
            there.
    """
    wanted = [check_name(name) for name in names]
    shelf = shelf or Shelf()
    return [_make(name, options, embedding, shelf) for name in dict.fromkeys(wanted)]


def metric_facts(name: str) -> MetricFacts:
    """Say what a metric is without loading a model.

    Raises:
        MetricError: there is no such metric.
    """
    name = check_name(name)
    found = _class(name)
    if not isinstance(found.title, str):  # what it says follows from what it is made with
        found = _make(name, MetricOptions(), None, Shelf())
    return MetricFacts(name, found.title, found.needs, found.sees)


def check_name(name: str) -> str:
    """Give the metric that a name means: itself, or what gives the figure of that name.

    Raises:
        MetricError: there is no such metric; names the nearest and all there are.
    """
    if name in _CLASSES:
        return name
    if name in _FIGURES:
        return _FIGURES[name]
    known = [*_CLASSES, *_FIGURES]
    near = difflib.get_close_matches(name.lower()[:80], known, n=1)
    meant = f"did you mean '{near[0]}'? " if near else ""
    raise MetricError(
        f"there is no metric '{name[:80]}'", hint=f"{meant}there are {', '.join(METRIC_NAMES)}"
    )


def _make(name: str, options: MetricOptions, embedding: Embedding | None, shelf: Shelf) -> Metric:
    """Make one metric; what its class takes follows from what it needs."""
    found, seed = _class(name), options.seed
    metric: Metric
    if name == "fad":
        space = embedding or shelf.embedding(options.embedding)
        metric = found(space, project=options.project, seed=seed)
    elif name in EMBEDDED:
        metric = found(embedding or shelf.embedding(options.embedding), seed=seed)
    elif name == "clap":
        model = options.clap or CLAP_MODEL
        metric = found(shelf.clap(model), sound=shelf.embedding(model), seed=seed)
    elif name in MODEL_OPTIONS:
        metric = found(_location(name, options), seed=seed)
    else:
        metric = found(seed=seed)
    return metric


def _class(name: str) -> Any:
    module, _, class_name = _CLASSES[name].partition(".")
    return getattr(importlib.import_module(f"lofi_engine.metrics.{module}"), class_name)


def _location(name: str, options: MetricOptions) -> str:
    option = MODEL_OPTIONS[name]
    location: str = getattr(options, option)
    if not location:
        raise MetricError(
            f"{name}: no model is given", hint=f"name a folder or hf:owner/name with --{option}"
        )
    return location


_CLASSES: Mapping[str, str] = {
    "fad": "fad.FrechetAudioDistance",
    "clap": "clap.ClapScore",
    "mrstft": "spectral.MultiResolutionStft",
    "mel": "spectral.LogMelDistance",
    "visqol": "visqol.VisqolAudio",
    "latent-cosine": "latents.LatentCosine",
    "latent-snr": "latents.LatentSnr",
    "tempo": "tempo_key.TempoAgreement",
    "key": "tempo_key.KeyAgreement",
    "style-consistency": "style_consistency.StyleConsistency",
    "style-collapse": "style_collapse.StyleCollapse",
    "style-recall": "style_recall.StyleRecall",
    "lyrics": "lyrics.LyricAlignment",
    "aesthetics": "aesthetics.Aesthetics",
}
"""Module and class of every metric."""

EMBEDDED = frozenset({"fad", "style-consistency", "style-collapse", "style-recall"})
"""Metrics that measure in an embedding, the one of `MetricOptions` or the one they are given."""

MODEL_OPTIONS: Mapping[str, str] = {
    "clap": "clap",
    "lyrics": "recognizer",
    "aesthetics": "aesthetics",
}
"""The field of `MetricOptions`, and the option of the command, that names a metric's model."""

_AXES = ("enjoyment", "usefulness", "complexity", "quality")
_FIGURES = {
    "fad-infinity": "fad",
    "tempo-error": "tempo",
    "style-collapse-distance": "style-collapse",
    "style-collapse-diversity": "style-collapse",
    **{f"aesthetics-{axis}": "aesthetics" for axis in _AXES},
}
"""Figures that a metric of another name gives beside its own."""

METRIC_NAMES: tuple[str, ...] = tuple(_CLASSES)
"""Of every metric, in the order tables show them."""
