"""Variants opened by the oldest ONNX Runtime and by ours: what a manifest says of both is true."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lofi_engine.onnx_graphs.examples import load_examples
from lofi_engine.onnx_graphs.oldest import loads_in_daemon
from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.recipe.model import Variant
from lofi_engine.stages import quantize
from tests.support.exported_tiny import exported_tiny, make_context, temporary_folder
from tests.support.oldest_runtime import run_in_oldest

AUDIO = ("dcae_decoder", "vocoder")
VARIANTS = {
    "fp16": Variant("fp16", "auto", 32, None, AUDIO),
    "int8": Variant("int8", "auto", 32, None, AUDIO),
    "int4": Variant("int4", "rtn", 32, None, AUDIO),
    "in-blocks": Variant("int8", "weight-only", 32, None, AUDIO),
}
LOADING = ("fp16", "int8", "int4")
MOST_APART = {"fp16": 1e-3, "int8": 0.05, "int4": 0.05}
"""Two releases fuse otherwise, and where activations are rounded to 8 bits, a last digit tips
roundings: by as much as 8 bits err at all."""


@pytest.fixture(scope="module")
def made():
    """The variants' folder, their records, the inputs of each graph, and the oldest's answers."""
    work = temporary_folder("variants-for-the-oldest")
    context = make_context("quantize", work, {"export": exported_tiny()[0]}, [])
    quantize.run(context, quantize.Settings(VARIANTS))
    records = {name: json.loads((work / name / "record.json").read_text()) for name in VARIANTS}
    examples = load_examples(exported_tiny()[0] / "examples.safetensors")
    graphs = {
        f"{name}/{component}": (work / name / f"{component}.onnx", inputs)
        for name in VARIANTS
        for component, inputs in examples.items()
    }
    return work, records, examples, run_in_oldest(graphs)


def test_the_second_environment_has_the_release_that_records_name(made):
    _, records, _, (release, _, _) = made
    assert release.startswith("1.20.")
    assert {records[name]["oldest_onnxruntime"] for name in LOADING} == {"1.20"}


@pytest.mark.parametrize("name", LOADING)
def test_every_graph_of_a_variant_runs_there_and_answers_what_it_answers_here(made, name):
    work, _, examples, (_, outputs, refused) = made
    assert {graph: why for graph, why in refused.items() if graph.startswith(f"{name}/")} == {}
    for component, inputs in examples.items():
        here = GraphSession(work / name / f"{component}.onnx").run(inputs)
        there = outputs[f"{name}/{component}"]
        assert there.keys() == here.keys()
        for output, wanted in here.items():
            apart = np.sqrt(np.mean(np.square(there[output] - wanted)))
            assert apart <= MOST_APART[name] * max(float(np.std(wanted)), 1e-6), (component, output)


def test_the_halves_of_the_decoder_load_there_too(made):
    work = made[0]
    halves = ("transformer_context.onnx", "transformer_decoder_step.onnx")
    graphs = {f"{name}/{half}": (work / name / half, {}) for name in LOADING for half in halves}
    _, _, refused = run_in_oldest(graphs)
    # No inputs are given: what is refused is the run, after the graph was loaded.
    assert len(refused) == len(graphs)
    assert all("Required inputs" in why for why in refused.values()), refused


def test_what_a_record_says_needs_a_newer_release_is_refused_there(made):
    _, records, _, (_, _, refused) = made
    assert records["in-blocks"]["oldest_onnxruntime"] == "1.22"
    assert not loads_in_daemon(records["in-blocks"]["oldest_onnxruntime"])
    assert "in-blocks/transformer_decoder" in refused


def test_a_record_says_which_release_it_was_proven_on(made):
    import onnxruntime

    assert {record["newest_onnxruntime"] for record in made[1].values()} == {
        onnxruntime.__version__
    }
