from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lofi_engine.errors import StageError
from lofi_engine.models.family import GraphSpec
from lofi_engine.onnx_graphs.export import GraphRecord, export_graph
from lofi_engine.onnx_graphs.optional import OptionalInput
from lofi_engine.onnx_graphs.sessions import GraphSession


class Scaled(nn.Module):
    """Scales rows, and adds what other pieces summed up."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 5)

    def forward(self, x: Tensor, scale: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        scaled = self.layer(x) * scale[:, None, None]
        return scaled + others.sum(dim=0), scaled.sum(dim=1)


def scaled_spec() -> GraphSpec:
    torch.manual_seed(0)
    return GraphSpec(
        file="scaled.onnx",
        module=Scaled().eval(),
        inputs={
            "x": torch.randn(2, 7, 5),
            "scale": torch.tensor([1.0, 0.1]),
            "others": torch.randn(3, 5),
        },
        outputs=("y", "inside"),
        dynamic={"x": {0: "batch", 1: "frames"}, "scale": {0: "batch"}, "others": {0: "pieces"}},
        defaults={"scale": torch.ones(1), "others": torch.zeros(0, 5)},
    )


@pytest.fixture(scope="module")
def scaled(tmp_path_factory) -> tuple[GraphSession, GraphRecord]:
    folder = tmp_path_factory.mktemp("scaled")
    record = export_graph(scaled_spec(), folder)
    return GraphSession(folder / "scaled.onnx"), record


def test_what_may_be_left_out_is_listed_apart_with_free_axes_by_name(scaled):
    session, record = scaled
    assert [value.name for value in record.inputs] == ["x"]
    assert [(value.name, value.shape) for value in session.optional_inputs] == [
        ("scale", ("batch",)),
        ("others", ("pieces", 5)),
    ]
    assert record.optional_inputs == (
        OptionalInput("scale", "float32", [1.0]),
        OptionalInput("others", "float32", []),
    )


def test_left_out_one_for_all_rows_and_one_each_give_what_torch_gives(scaled):
    session, _ = scaled
    spec = scaled_spec()
    x = spec.inputs["x"]
    nothing = torch.zeros(0, 5)
    for scale in (None, torch.tensor([0.5]), torch.tensor([0.5, 2.0])):
        given = {"x": x.numpy()} | ({} if scale is None else {"scale": scale.numpy()})
        with torch.no_grad():
            expected = spec.module(x, torch.ones(1) if scale is None else scale, nothing)
        found = session.run(given)
        assert np.allclose(found["y"], expected[0].numpy(), atol=1e-5)
        assert np.allclose(found["inside"], expected[1].numpy(), atol=1e-5)


def test_both_given_and_left_out_are_proven(scaled):
    parity = scaled[1].parity
    given = {tuple(found.sizes.items()) for found in parity if not found.left_out}
    left = {tuple(found.sizes.items()) for found in parity if found.left_out}
    assert given == {
        (("batch", 1), ("frames", 1), ("pieces", 1)),
        (("batch", 2), ("frames", 7), ("pieces", 3)),
        (("batch", 4), ("frames", 11), ("pieces", 5)),
    }
    assert left == {(("batch", 2), ("frames", 8)), (("batch", 1), ("frames", 61))}
    assert {found.left_out for found in parity} == {(), ("scale", "others")}


def test_a_default_before_an_input_that_must_be_given_is_refused(tmp_path):
    spec = scaled_spec()
    with pytest.raises(StageError, match=r"^scaled\.onnx: inputs with a default come last"):
        export_graph(replace(spec, defaults={"scale": torch.ones(1)}), tmp_path)


def test_a_default_of_another_shape_or_type_is_refused(tmp_path):
    spec = scaled_spec()
    for other in (torch.zeros(0, 4), torch.zeros(0, 5, dtype=torch.int64), torch.zeros(5)):
        with pytest.raises(StageError, match=r"'others' is torch\.float32 \(3, 5\), its default"):
            export_graph(replace(spec, defaults=spec.defaults | {"others": other}), tmp_path)
