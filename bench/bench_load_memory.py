"""Peak resident memory of loading the full-size base, over the bytes of its weights.

Writes a checkpoint of random bfloat16 weights with the published names and shapes to a temporary
folder, in shards, then loads it in each precision, each in a fresh process. It needs 8 GB of disk
and, for float32, 18 GB of memory; with fewer layers both shrink. What was written is deleted.

Run alone: python bench/bench_load_memory.py [--layers 24] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from lofi_engine.models.ace_step_v1 import checkpoint
from lofi_engine.models.ace_step_v1.config import VocoderConfig
from lofi_engine.models.ace_step_v1.tiny import build_tiny

PUBLISHED = Path(__file__).parents[1] / "tests" / "golden" / "ace_step_v1_state_dict.json"
SHARD_BYTES = 10**9
PRECISIONS = ("bf16", "fp16", "fp32")
MOST_RATIO = 1.1
"""Peak memory over the weights in the wanted precision."""


def status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def write_network(folder: Path, name: str, shapes: dict[str, list[int]]) -> int:
    """Write random weights shard by shard; give their bytes."""
    held: dict[str, torch.Tensor] = {}
    weight_map: dict[str, str] = {}
    total = number = 0

    def flush() -> None:
        nonlocal number
        number += 1
        shard = f"{name.removesuffix('.safetensors')}-{number:05}.safetensors"
        save_file(held, folder / shard)
        weight_map.update(dict.fromkeys(held, shard))
        held.clear()

    for key, shape in shapes.items():
        held[key] = torch.empty(shape, dtype=torch.bfloat16).uniform_(-0.02, 0.02)
        total += held[key].nbytes
        if sum(part.nbytes for part in held.values()) > SHARD_BYTES:
            flush()
    if held:
        flush()
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / f"{name}.index.json").write_text(json.dumps(index), encoding="utf-8")
    return total


def write_base(folder: Path, layers: int) -> None:
    published: dict[str, Any] = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    for part in (checkpoint.TRANSFORMER, checkpoint.DCAE, checkpoint.VOCODER, checkpoint.TEXT):
        config = published[part]["config"] or VocoderConfig().to_mapping()
        shapes = published[part]["keys"]
        if part == checkpoint.TRANSFORMER:
            config["num_layers"] = layers
            blocks = {key: re.match(r"transformer_blocks\.(\d+)\.", key) for key in shapes}
            shapes = {
                key: shape
                for key, shape in shapes.items()
                if (block := blocks[key]) is None or int(block[1]) < layers
            }
        name = checkpoint.WEIGHTS
        if part == checkpoint.TEXT:
            name = checkpoint.TEXT_WEIGHTS
            shapes.pop("encoder.embed_tokens.weight", None)
        (folder / part).mkdir(parents=True)
        text = json.dumps(config)
        (folder / part / checkpoint.CONFIG).write_text(text, encoding="utf-8")
        total = write_network(folder / part, name, shapes)
        print(f"wrote {part}: {total / 1e9:.2f} GB in bfloat16", flush=True)
    tokenizer = folder / checkpoint.TEXT / checkpoint.TOKENIZER
    tokenizer.write_text(build_tiny().text.tokenizer_json, encoding="utf-8")


def load_once(folder: Path, precision: str) -> None:
    """Load the base in this process and print what it took as JSON."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as small:  # brings the libraries into memory
        checkpoint.save(build_tiny(), Path(small))
        checkpoint.load(Path(small), identity="warm")
    before, clock = status("VmRSS"), time.perf_counter()
    base = checkpoint.load(folder, identity="bench", precision=precision)
    seconds = time.perf_counter() - clock
    networks = (base.transformer, base.dcae, base.vocoder, base.text.network)
    tensors = [part for network in networks for part in network.parameters()]
    weights = {part.data_ptr(): part.nbytes for part in tensors}  # tied ones once
    figures = {
        "weights_bytes": sum(weights.values()),
        "peak_bytes": status("VmHWM") - before,
        "seconds": seconds,
    }
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, default=24, help="transformer blocks, 1 to 24")
    parser.add_argument("--folder", type=Path, help="where to write it; default: temporary files")
    parser.add_argument("--load", choices=PRECISIONS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        load_once(given.folder, given.load)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        write_base(Path(folder), given.layers)
        print(f"\n{given.layers} of 24 layers")
        print("| precision | weights | peak over the start | ratio | wall |")
        print("|---|---|---|---|---|")
        largest = 0.0
        for precision in PRECISIONS:
            command = [sys.executable, __file__, "--load", precision, "--folder", folder]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{precision}: {done.returncode}\n{done.stderr}")
            found = json.loads(done.stdout)
            weights, peak = found["weights_bytes"], found["peak_bytes"]
            print(
                f"| {precision} | {weights / 1e9:.2f} GB | {peak / 1e9:.2f} GB "
                f"| {peak / weights:.3f} | {found['seconds']:.0f} s |",
                flush=True,
            )
            largest = max(largest, peak / weights)
    if largest > MOST_RATIO:
        sys.exit(f"{largest:.3f} is too much: at most {MOST_RATIO} is allowed.")


if __name__ == "__main__":
    main()
