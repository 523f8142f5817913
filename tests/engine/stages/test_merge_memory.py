"""Merging holds the weights once: a process of its own merges into 250 MB of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lofi_engine.models.ace_step_v1 import checkpoint
from lofi_engine.models.ace_step_v1.config import TransformerConfig
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.training.adapters import adapter_weights, add_adapter, save_adapter
from tests.support.recipes import make_recipe

MEASURE = """
import sys
from pathlib import Path
import torch
from lofi_engine.stages import merge
from tests.engine.stages.test_merge_memory import recipe_in
from tests.support.stage_runs import run_stage

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

torch.set_num_threads(1)
for name in ("tiny", "wide"):  # the first merge brings the libraries into memory
    place = Path(sys.argv[1]) / name
    before = status("VmRSS")
    run_stage(merge, recipe_in(place), place / "run", inputs={"select": place})
print(status("VmHWM") - before)
"""
SLACK_BYTES = 32 * 2**20
"""A window of the file, the largest layer's product, the probes' activations."""


def recipe_in(place: Path):
    model = str(place / "base") if (place / "base").is_dir() else "builtin:tiny"
    return make_recipe(place, base={"model": model}, lora={"targets": ["to_q", "to_out.0"]})


def write_adapter(place: Path, transformer) -> None:
    lora = recipe_in(place).lora
    fresh = adapter_weights(add_adapter(transformer, lora, 1))
    save_adapter(place / "adapter", {key: part + 0.01 for key, part in fresh.items()}, lora, {})


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own figures")
def test_the_peak_of_memory_is_the_weights_and_a_tenth(tmp_path):
    tiny, wide = tmp_path / "tiny", tmp_path / "wide"
    base = build_tiny()
    config = TransformerConfig.from_mapping(base.configs.transformer)
    erg = replace(config.erg, decoder_layers=(1, 3))
    config = replace(config, num_layers=3, attention_head_dim=64, num_attention_heads=16, erg=erg)
    torch.manual_seed(1)
    base.transformer = AceStepTransformer(config)
    base.configs = replace(base.configs, transformer=config.to_mapping())
    checkpoint.save(base, wide / "base")
    weights = sum(part.nbytes for part in base.transformer.parameters())
    write_adapter(wide, base.transformer)
    tiny.mkdir()
    write_adapter(tiny, build_tiny().transformer)
    del base
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr
    assert weights > 200e6
    assert weights <= int(done.stdout) <= 1.1 * weights + SLACK_BYTES
