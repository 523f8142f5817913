from __future__ import annotations

from dataclasses import replace

import pytest

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.export import prove_graph, write_graph
from lofi_engine.onnx_graphs.halves_proof import can_be_cut, prove_halves
from lofi_engine.onnx_graphs.parity import Case
from tests.support.toy_graphs import decoder_spec, encoder_spec


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("halves")
    written = write_graph(decoder_spec(), folder)
    return folder, written, prove_graph(written, folder)


def test_both_halves_are_recorded_with_the_decoders_weights_and_the_pairs_parity(written):
    folder, decoder, whole = written
    before = (folder / "transformer_decoder_weights.bin").read_bytes()
    context, step = prove_halves(decoder, whole, folder)
    assert (context.file, step.file) == (
        "transformer_context.onnx",
        "transformer_decoder_step.onnx",
    )
    assert context.weights == step.weights == whole.weights
    assert (folder / "transformer_decoder_weights.bin").read_bytes() == before
    assert [value.name for value in step.inputs] == [
        "hidden_states",
        "attention_mask",
        "timestep",
        *(value.name for value in context.outputs),
    ]
    assert [dict(found.sizes) for found in step.parity] == [dict(c.sizes) for c in decoder.cases]
    assert all(found.relative_difference < 1e-4 for found in step.parity)


def test_halves_that_give_something_else_than_torch_are_refused(written):
    folder, decoder, whole = written
    case = decoder.cases[0]
    wrong = Case(case.sizes, (), case.inputs, {"sample": case.expected["sample"] + 1})
    with pytest.raises(StageError, match=r"transformer_decoder_step\.onnx: output 'sample' at"):
        prove_halves(replace(decoder, cases=(wrong,)), whole, folder)


def test_only_a_graph_that_takes_a_context_is_cut(written, tmp_path):
    assert can_be_cut(written[1])
    assert not can_be_cut(write_graph(encoder_spec(), tmp_path))
