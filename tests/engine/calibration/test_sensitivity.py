from __future__ import annotations

import json
from contextlib import closing

import numpy as np
import pytest

from lofi_engine.calibration.prompts import calibration_prompts
from lofi_engine.calibration.samples import record_samples
from lofi_engine.calibration.sensitivity import DECODER, TEXT, Sensitivity
from lofi_engine.quantization.forms import Form
from lofi_engine.quantization.nbits import quantize_blocks
from lofi_engine.quantization.rewrite import load_graph, rewrite_graph
from lofi_engine.quantization.weights import find_weights
from lofi_runtime.styles.taxonomy import load_styles
from tests.support.exported_tiny import exported_tiny


@pytest.fixture(scope="module")
def folder():
    return exported_tiny()[0]


@pytest.fixture(scope="module")
def samples(folder, tmp_path_factory):
    pipeline = json.loads((folder / "model.json").read_text(encoding="utf-8"))["pipeline"]
    prompts = calibration_prompts(load_styles(), 3, seed=5)
    target = tmp_path_factory.mktemp("samples")
    return record_samples(folder, pipeline, prompts, target, duration_sec=5, threads=1)


@pytest.fixture(scope="module")
def sensitivity(folder, samples, tmp_path_factory):
    with closing(Sensitivity(folder, samples, tmp_path_factory.mktemp("place"))) as opened:
        yield opened


def matrices(folder, component):
    graph = load_graph(folder / f"{component}.onnx", matrices=True).graph
    weights = [one for one in find_weights(graph) if one.role == "matmul" and one.elements > 9000]
    return {one.name: graph.initializers[one.name].const_value.numpy() for one in weights[:3]}


@pytest.mark.parametrize("component", [TEXT, DECODER])
def test_a_weights_own_values_cost_nothing_and_more_noise_costs_more(
    folder, sensitivity, component
):
    noise = np.random.default_rng(0)
    for name, array in matrices(folder, component).items():
        drawn = noise.standard_normal(array.shape).astype(np.float32) * array.std()
        errors = [
            sensitivity.error_of(component, name, array + by * drawn) for by in (0, 0.02, 0.2)
        ]
        assert errors[0] < 1e-10 < errors[1] < errors[2]
        assert errors[2] == pytest.approx(100 * errors[1], rel=0.5)  # squared, while it is small


def test_one_weight_stored_narrowly_costs_what_was_foretold(folder, sensitivity, tmp_path):
    name, array = next(iter(matrices(folder, DECODER).items()))
    form = Form("blocks", 4, 32)
    stored = quantize_blocks(np.ascontiguousarray(array), bits=4, block_size=32).dequantize()
    foretold = sensitivity.error_of(DECODER, name, stored)
    for component in (TEXT, "transformer_encoder", DECODER):
        forms = {name: form} if component == DECODER else {}
        file = f"{component}.onnx"
        rewrite_graph(folder / file, tmp_path / file, forms, matrices=component == DECODER)
    # Its activations are rounded to 8 bits besides.
    assert sensitivity.error_of_bundle(tmp_path) == pytest.approx(foretold, rel=0.3)


def test_copies_of_graphs_are_gone_afterwards(folder, samples, tmp_path):
    with closing(Sensitivity(folder, samples[:1], tmp_path)) as opened:
        assert opened.error_of_bundle(folder) < 1e-10
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
