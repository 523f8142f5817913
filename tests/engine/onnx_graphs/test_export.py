from __future__ import annotations

import getpass
import os
from dataclasses import replace
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from lofi_engine.errors import StageError
from lofi_engine.models.family import GraphSpec
from lofi_engine.onnx_graphs.export import GraphRecord, export_graph
from lofi_engine.onnx_graphs.parity import check_parity
from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.weights import find_weights
from tests.support.toy_graphs import decoder_spec, encoder_spec


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, GraphRecord]]:
    folder = tmp_path_factory.mktemp("exported")
    specs = (decoder_spec(), encoder_spec())
    return folder, {spec.file: export_graph(spec, folder) for spec in specs}


def test_two_exports_of_one_module_are_the_same_bytes(exported, tmp_path, capfd):
    folder, records = exported
    again = export_graph(decoder_spec(), tmp_path)
    assert again.sha256 == records["transformer_decoder.onnx"].sha256
    for file in ("transformer_decoder.onnx", "transformer_decoder_weights.bin"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()
    assert capfd.readouterr() == ("", "")


def test_no_byte_tells_where_a_graph_was_made(exported):
    folder, _ = exported
    secrets = [str(Path.cwd()), str(Path.home()), str(folder), "site-packages", ".py", "pytorch"]
    if len(getpass.getuser()) > 3:
        secrets.append(getpass.getuser())
    for path in folder.iterdir():
        content = path.read_bytes()
        for secret in secrets:
            assert os.fsencode(secret) not in content, f"{secret} in {path.name}"


def test_only_the_decoder_has_weights_in_a_file_of_their_own(exported):
    folder, records = exported
    assert sorted(path.name for path in folder.iterdir()) == [
        "transformer_decoder.onnx",
        "transformer_decoder_weights.bin",
        "transformer_encoder.onnx",
    ]
    decoder = records["transformer_decoder.onnx"]
    assert decoder.weights is not None
    assert decoder.weights.size_bytes > 10 * decoder.size_bytes
    assert records["transformer_encoder.onnx"].weights is None
    proto = onnx.load(folder / "transformer_decoder.onnx", load_external_data=False)
    locations = {
        entry.value
        for tensor in proto.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    assert locations == {"transformer_decoder_weights.bin"}


def test_a_record_lists_inputs_in_the_contracts_order_with_free_axes_by_name(exported):
    record = exported[1]["transformer_decoder.onnx"]
    assert [(value.name, value.dtype, value.shape) for value in record.inputs] == [
        ("hidden_states", "float32", ("batch", 8, 16, "frames")),
        ("attention_mask", "float32", ("batch", "frames")),
        ("encoder_hidden_states", "float32", ("batch", "context", 64)),
        ("encoder_hidden_mask", "float32", ("batch", "context")),
        ("timestep", "float32", (1,)),
    ]
    assert [value.name for value in record.outputs] == ["sample"]
    assert record.opset == 21


def test_parity_is_measured_on_the_example_and_at_other_sizes_of_every_free_axis(exported):
    parity = exported[1]["transformer_decoder.onnx"].parity
    assert [dict(found.sizes) for found in parity] == [
        {"batch": 1, "frames": 12, "context": 7},
        {"batch": 2, "frames": 19, "context": 11},
    ]
    assert all(found.relative_difference < 1e-4 for found in parity)
    assert {found.output for found in exported[1]["transformer_encoder.onnx"].parity} == {
        "encoder_hidden_states",
        "encoder_hidden_mask",
    }


def test_every_matrix_is_a_matmul_named_after_its_parameter(exported):
    folder, _ = exported
    for file in ("transformer_decoder.onnx", "transformer_encoder.onnx"):
        graph = ir.load(folder / file).graph
        assert "Gemm" not in {node.op_type for node in graph}
        matrices = {weight.name for weight in find_weights(graph) if weight.role == "matmul"}
        spec = decoder_spec() if "decoder" in file else encoder_spec()
        linear = {
            f"{name}.weight"
            for name, part in spec.module.named_modules()
            if isinstance(part, nn.Linear)
        }
        assert matrices == linear


def test_a_graph_of_another_module_is_refused(exported):
    session = GraphSession(exported[0] / "transformer_decoder.onnx")
    with pytest.raises(StageError, match=r"'sample' at batch 1.* standard deviations from torch"):
        check_parity(decoder_spec(seed=1), session)


def test_an_output_that_is_not_finite_is_refused(exported):
    spec = decoder_spec()
    with torch.no_grad():
        spec.module.out.bias[0] = torch.nan
    session = GraphSession(exported[0] / "transformer_decoder.onnx")
    with pytest.raises(StageError, match="'sample' at batch 1, frames 12, context 7 is not finite"):
        check_parity(spec, session)


def test_a_wrong_number_of_outputs_is_refused(exported):
    session = GraphSession(exported[0] / "transformer_decoder.onnx")
    with pytest.raises(StageError, match="the module gives 1 outputs, 2 are named"):
        check_parity(replace(decoder_spec(), outputs=("sample", "other")), session)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if bool(x.sum() > 0) else -x


def test_a_module_the_exporter_cannot_follow_is_refused_by_file_name(tmp_path):
    spec = GraphSpec("branching.onnx", Branching(), {"x": torch.ones(2, 3)}, ("y",), {})
    with pytest.raises(StageError, match=r"^branching\.onnx: torch cannot export the module"):
        export_graph(spec, tmp_path)
    assert not list(tmp_path.iterdir())
