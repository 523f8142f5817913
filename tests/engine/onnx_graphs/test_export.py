from __future__ import annotations

import gc
import getpass
import os
import weakref
from dataclasses import replace
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from lofi_engine.errors import StageError
from lofi_engine.models.family import GraphSpec
from lofi_engine.onnx_graphs.export import GraphRecord, export_graph, write_graph
from lofi_engine.onnx_graphs.parity import check_cases, expected_cases
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


def test_parity_is_measured_at_five_sizes_from_the_smallest_to_a_long_one(exported):
    parity = exported[1]["transformer_decoder.onnx"].parity
    assert [dict(found.sizes) for found in parity] == [
        {"batch": 1, "frames": 1, "context": 1},
        {"batch": 1, "frames": 12, "context": 7},
        {"batch": 2, "frames": 19, "context": 11},
        {"batch": 2, "frames": 13, "context": 8},
        {"batch": 1, "frames": 101, "context": 61},
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


def _compare(folder: Path, spec: GraphSpec) -> None:
    session = GraphSession(folder / "transformer_decoder.onnx")
    check_cases(spec.file, expected_cases(spec), session.run)


def test_a_graph_of_another_module_is_refused(exported):
    with pytest.raises(StageError, match=r"'sample' at batch 1.* standard deviations from torch"):
        _compare(exported[0], decoder_spec(seed=1))


def test_an_output_that_is_not_finite_is_refused(exported):
    spec = decoder_spec()
    with torch.no_grad():
        spec.module.out.bias[0] = torch.nan
    with pytest.raises(StageError, match="'sample' at batch 1, frames 1, context 1 is not finite"):
        _compare(exported[0], spec)


def test_a_wrong_number_of_outputs_is_refused(exported):
    with pytest.raises(StageError, match="the module gives 1 outputs, 2 are named"):
        _compare(exported[0], replace(decoder_spec(), outputs=("sample", "other")))


def test_torchs_weights_can_go_once_a_graph_is_written(tmp_path):
    spec = decoder_spec()
    weights = [weakref.ref(weight) for weight in spec.module.parameters() if weight.ndim > 1]
    written = write_graph(spec, tmp_path)
    del spec
    gc.collect()
    assert [reference() for reference in weights if reference() is not None] == []
    assert written.weights == "transformer_decoder_weights.bin"
    assert len(written.cases) == 5


def test_exporting_copies_and_changes_no_weight_of_the_module(tmp_path):
    spec = decoder_spec()
    before = {name: (tensor, tensor.clone()) for name, tensor in spec.module.state_dict().items()}
    kinds = [type(part) for part in spec.module.modules()]
    write_graph(spec, tmp_path)
    assert [type(part) for part in spec.module.modules()] == kinds
    for name, tensor in spec.module.state_dict().items():
        assert tensor.data_ptr() == before[name][0].data_ptr()
        assert torch.equal(tensor, before[name][1])


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if bool(x.sum() > 0) else -x


def test_a_module_the_exporter_cannot_follow_is_refused_by_file_name(tmp_path):
    spec = GraphSpec("branching.onnx", Branching(), {"x": torch.ones(2, 3)}, ("y",), {})
    with pytest.raises(StageError, match=r"^branching\.onnx: torch cannot export the module"):
        export_graph(spec, tmp_path)
    assert not list(tmp_path.iterdir())
