"""Small torch modules shaped like a bundle's graphs, and one-operator ONNX graphs.

The decoder is MatMul-heavy with a depthwise convolution, RMS norms and masked attention; the
encoder has a lookup table and linear layers on two-dimensional input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from lofi_engine.models.family import GraphSpec

WIDTH = 64


class RmsNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.weight


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = RmsNorm()
        self.to_q, self.to_k = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.to_v, self.to_out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.depth = nn.Conv1d(4 * WIDTH, 4 * WIDTH, 3, padding=1, groups=4 * WIDTH)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        bias = (1 - mask[:, None]) * -1e9
        scores = self.to_q(self.norm(x)) @ self.to_k(context).transpose(1, 2) / 8 + bias
        x = x + self.to_out(torch.softmax(scores, -1) @ self.to_v(context))
        hidden = self.depth(self.up(self.norm(x)).transpose(1, 2)).transpose(1, 2)
        return x + self.down(nn.functional.silu(hidden))


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.time = nn.Linear(128, WIDTH), nn.Linear(32, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.out = nn.Linear(WIDTH, 128)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor,
        encoder_hidden_states: Tensor,
        encoder_hidden_mask: Tensor,
        timestep: Tensor,
    ) -> Tensor:
        batch, channels, height, frames = hidden_states.shape
        angles = timestep.expand(batch)[:, None] * torch.exp(-torch.arange(16) / 4.0)
        time = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        patches = hidden_states.reshape(batch, channels * height, frames).transpose(1, 2)
        x = self.patches(patches) + time[:, None]
        for block in self.blocks:
            x = block(x, encoder_hidden_states, encoder_hidden_mask)
        x = self.out(x) * attention_mask[..., None]
        return x.transpose(1, 2).reshape(batch, channels, height, frames)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.speaker_embedder = nn.Linear(32, WIDTH)
        self.lyrics = nn.Embedding(40, WIDTH)

    def forward(
        self, speaker_embeds: Tensor, lyric_token_idx: Tensor, lyric_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        speaker = self.speaker_embedder(speaker_embeds)[:, None]
        mask = torch.cat([torch.ones_like(lyric_mask[:, :1]), lyric_mask], 1).float()
        return torch.cat([speaker, self.lyrics(lyric_token_idx)], 1), mask


def decoder_spec(seed: int = 0) -> GraphSpec:
    """The decoder, its weights in a file of their own."""
    torch.manual_seed(seed)
    return GraphSpec(
        file="transformer_decoder.onnx",
        module=Decoder().eval(),
        inputs={
            "hidden_states": torch.randn(1, 8, 16, 12),
            "attention_mask": torch.ones(1, 12),
            "encoder_hidden_states": torch.randn(1, 7, WIDTH),
            "encoder_hidden_mask": torch.tensor([[1.0, 1, 1, 1, 1, 0, 0]]),
            "timestep": torch.tensor([500.0]),
        },
        outputs=("sample",),
        dynamic={
            "hidden_states": {0: "batch", 3: "frames"},
            "attention_mask": {0: "batch", 1: "frames"},
            "encoder_hidden_states": {0: "batch", 1: "context"},
            "encoder_hidden_mask": {0: "batch", 1: "context"},
        },
        external_weights="transformer_decoder_weights.bin",
    )


def encoder_spec(seed: int = 0) -> GraphSpec:
    """The encoder, self-contained."""
    torch.manual_seed(seed)
    lyrics = {0: "batch", 1: "lyric_tokens"}
    return GraphSpec(
        file="transformer_encoder.onnx",
        module=Encoder().eval(),
        inputs={
            "speaker_embeds": torch.randn(2, 32),
            "lyric_token_idx": torch.randint(0, 40, (2, 5)),
            "lyric_mask": torch.ones(2, 5, dtype=torch.int64),
        },
        outputs=("encoder_hidden_states", "encoder_hidden_mask"),
        dynamic={
            "speaker_embeds": {0: "batch"},
            "lyric_token_idx": lyrics,
            "lyric_mask": lyrics,
        },
    )


def write_graph(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    weights: Mapping[str, npt.NDArray[Any]],
    *,
    integers: Sequence[str] = (),
    output: Sequence[int | str] = ("rows_out", "columns_out"),
) -> Path:
    """Write a graph of `nodes` with float32 (or int64, `integers`) inputs and one output "y"."""
    kind = {name: TensorProto.INT64 if name in integers else TensorProto.FLOAT for name in inputs}
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, kind[name], shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def write_matmul(path: Path, matrix: npt.NDArray[np.float32]) -> Path:
    """Write y = x @ matrix, the weight named "w"."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    return write_graph(path, [node], {"x": ["rows", len(matrix)]}, {"w": matrix})


def write_lookup(path: Path, table: npt.NDArray[np.float32]) -> Path:
    """Write y = table[ids], the table named "w"."""
    node = helper.make_node("Gather", ["w", "ids"], ["y"], name="lookup")
    return write_graph(
        path,
        [node],
        {"ids": ["batch", "n"]},
        {"w": table},
        integers=["ids"],
        output=["batch", "n", table.shape[1]],
    )
