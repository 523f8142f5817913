from __future__ import annotations

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.sizes import (
    axis_sizes,
    proof_sizes,
    second_size,
    traceable_size,
    with_sizes,
)

DYNAMIC = {"ids": {0: "batch", 1: "tokens"}, "states": {0: "batch"}}


def test_axes_of_one_name_grow_together_and_repeat_the_example():
    inputs = {"ids": torch.tensor([[1, 2, 3]]), "states": torch.tensor([[7.0]])}
    grown = with_sizes(inputs, DYNAMIC, second_size)
    assert grown["ids"].tolist() == [[1, 2, 3, 1, 2], [1, 2, 3, 1, 2]]
    assert grown["states"].tolist() == [[7.0], [7.0]]


def test_a_second_size_differs_and_is_no_multiple_of_the_first():
    assert [second_size(size) for size in (1, 2, 7, 12)] == [2, 4, 11, 19]


def test_a_proof_has_five_sizes_with_one_row_and_two_and_a_long_one():
    assert proof_sizes({"batch": 2, "tokens": 7}) == (
        {"batch": 1, "tokens": 1},
        {"batch": 2, "tokens": 7},
        {"batch": 4, "tokens": 11},
        {"batch": 2, "tokens": 8},
        {"batch": 1, "tokens": 61},
    )


def test_an_axis_of_size_one_is_traced_at_two():
    assert [traceable_size(size) for size in (1, 2, 5)] == [2, 2, 5]


def test_two_inputs_that_disagree_on_an_axis_are_refused():
    inputs = {"ids": torch.zeros(2, 3), "states": torch.zeros(1, 4)}
    with pytest.raises(StageError, match="axis 'batch' is 2 in one example input and 1 in 'states"):
        axis_sizes(inputs, DYNAMIC)


def test_a_free_axis_of_an_unknown_input_is_refused():
    with pytest.raises(StageError, match=r"'mask' the graph does not have - its inputs are ids"):
        axis_sizes({"ids": torch.zeros(2)}, {"mask": {0: "batch"}})


def test_an_axis_beyond_the_shape_is_refused():
    with pytest.raises(StageError, match=r"input 'ids' of shape \(2,\) has no axis 1"):
        axis_sizes({"ids": torch.zeros(2)}, {"ids": {1: "tokens"}})
