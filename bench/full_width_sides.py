"""One model, four ways to denoise with it: our variant, PyTorch twice, plain ONNX float32.

All take steps of the same layers of published width with random weights. Each is asked as its own
users ask it: ours by `decoder.Decoder`, which makes the context's keys and values once a track;
PyTorch and plain ONNX compute them at every step.

Plain ONNX is the float32 decoder of our own export, whose 1x1 convolutions are products of
matrices: faster than a graph that keeps them, so ratios to it are not flattered.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from bench_step import CONTEXT, FILE, export, full_width, inputs, session
from bench_variants import COMPONENT, FAST, VARIANTS, WIDTH
from stand_in_manifest import manifest_record

from lofi_engine.models.ace_step_v1.attention import CrossAttention
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.onnx_graphs.context import split_context
from lofi_engine.quantization.rewrite import load_graph, rewrite_graph
from lofi_engine.quantization.rules import plan_forms
from lofi_engine.quantization.weights import find_weights
from lofi_runtime.bundle import Bundle
from lofi_runtime.decoder import Conditioning, Context, Decoder
from lofi_runtime.manifest import Manifest
from lofi_runtime.pipeline.denoise import DenoiseSettings, OnStep, denoise, ignore_step
from lofi_runtime.pipeline.erg import QUERY_SCALE
from lofi_runtime.pipeline.noise import starting_noise
from lofi_runtime.sessions import Sessions

Floats = npt.NDArray[np.float32]

OURS, TORCH_32, TORCH_16, PLAIN = FAST, "torch float32", "torch bfloat16", "ONNX float32"
TIMESTEP = 500.0
REFERENCE = DenoiseSettings(inference_steps=27)
"""The reference's defaults, guided in the middle half of the schedule, at its fast setting."""
DAEMON = DenoiseSettings(60, guidance="cfg", guidance_scale=7.0, guidance_interval=1.0)
"""lofi.nvim's daemon: 60 steps, each guided, by two calls of one row."""


@dataclass(frozen=True)
class Side:
    """A way to denoise.

    Args:
        settings: of its whole track.
        velocity: `velocity(latents, timestep, conditioning)`, see `pipeline.denoise`.
        prepare: gives the conditioning of both rows, once a track.
        first: gives of that the first row's.
        at_once: whether the guided step's two rows can be asked in one call.
    """

    settings: DenoiseSettings
    velocity: Callable[[Floats, Floats, Any], Floats]
    prepare: Callable[[], Any]
    first: Callable[[Any], Any]
    at_once: bool = True

    def step(self, rows: int, frames: int) -> Callable[[], object]:
        """Give one evaluation of the network for so many rows, ready to be called."""
        both = self.prepare()
        given = both if rows == 2 else self.first(both)
        latents = starting_noise(0, (rows, 8, 16, frames))
        timestep = np.full(rows, TIMESTEP, np.float32)
        return lambda: self.velocity(latents, timestep, given)

    def track(self, frames: int, on_step: OnStep = ignore_step) -> Floats:
        """Denoise a whole track with the product's own loop."""
        both = self.prepare()
        start = starting_noise(0, (1, 8, 16, frames))
        return denoise(
            self.velocity, start, self.first(both), both, settings=self.settings, on_step=on_step
        )


def build_sides(layers: int, folder: Path) -> dict[str, Side]:
    """Build all four over the same random weights, for one thread.

    Args:
        layers: of the transformer.
        folder: where graphs are written; it must stay.
    """
    plain, fast = folder / "float32", folder / FAST
    plain.mkdir()
    fast.mkdir()
    torch.set_num_threads(1)
    network = full_width(layers)
    graph = export(network, plain)
    store_fast(graph, fast)
    drop_unused(network)
    half = copy.deepcopy(network).to(torch.bfloat16)
    return {
        OURS: our_side(fast),
        TORCH_32: torch_side(network, torch.float32),
        TORCH_16: torch_side(half, torch.bfloat16),
        PLAIN: plain_side(graph),
    }


def store_fast(source: Path, folder: Path) -> None:
    """Store the decoder at `source` as int8-fast in `folder`, whole and in two halves."""
    weights = find_weights(load_graph(source, matrices=True).graph)
    forms = plan_forms(COMPONENT, weights, VARIANTS[FAST])
    rewrite_graph(source, folder / FILE, forms, matrices=True)
    split_context(folder / FILE)


def drop_unused(network: AceStepTransformer) -> None:
    """Free what a step never runs: it would only take memory."""
    for block in network.transformer_blocks:
        for name in CrossAttention.NEVER_RUN:
            delattr(block.cross_attn, name)
    for name in ("lyric_encoder", "lyric_embs", "lyric_proj", "genre_embedder"):
        delattr(network, name)


def two_rows() -> Context:
    """Give a context of both rows as `ace_step` makes it, the second with weakened queries."""
    given = inputs(2, 1, WIDTH, CONTEXT)
    scale = np.array([1.0, QUERY_SCALE], np.float32)
    return Context(given["encoder_hidden_states"], given["encoder_hidden_mask"], scale)


def our_side(folder: Path) -> Side:
    """Give the product: `Decoder` over a bundle's sessions."""
    manifest = Manifest.from_record(manifest_record(folder, {}))
    bundle = Bundle(folder, manifest, verified=False)
    decoder = Decoder(bundle, Sessions(bundle, threads=1))
    context = two_rows()

    def first(both: Conditioning) -> Conditioning:
        alone = both.first(1)
        return Conditioning(alone.file, alone.values, None)

    return Side(REFERENCE, decoder.velocity, lambda: decoder.prepare(context), first)


def torch_side(network: AceStepTransformer, dtype: torch.dtype) -> Side:
    """Give PyTorch, eager, in one precision throughout."""
    context = two_rows()
    values = (context.states, context.mask, context.query_scale)
    both = tuple(torch.from_numpy(value).to(dtype) for value in values)

    def velocity(latents: Floats, timestep: Floats, given: tuple[torch.Tensor, ...]) -> Floats:
        states, mask, scale = given
        with torch.inference_mode():
            answer = network.decode(
                torch.from_numpy(latents).to(dtype),
                torch.ones((len(latents), latents.shape[-1]), dtype=dtype),
                states,
                mask,
                torch.from_numpy(timestep),
                query_scale=scale if len(latents) == 2 else 1.0,
            )
        found: Floats = answer.float().numpy()
        return found

    return Side(REFERENCE, velocity, lambda: both, lambda rows: tuple(row[:1] for row in rows))


def plain_side(graph: Path) -> Side:
    """Give the float32 graph as lofi.nvim's daemon asks it: one row a call."""
    loaded = session(graph, 1)
    context = two_rows()

    def velocity(latents: Floats, timestep: Floats, rows: range) -> Floats:
        answers = [
            loaded.run(
                None,
                {
                    "hidden_states": latents[row : row + 1],
                    "attention_mask": np.ones((1, latents.shape[-1]), np.float32),
                    "encoder_hidden_states": context.states[row : row + 1],
                    "encoder_hidden_mask": context.mask[row : row + 1],
                    "timestep": timestep[:1],
                },
            )[0]
            for row in rows
        ]
        return np.concatenate(answers)

    return Side(DAEMON, velocity, lambda: range(2), lambda rows: rows[:1], at_once=False)
