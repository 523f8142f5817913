"""How much memory exporting takes, as a ratio of the model's float32 weights, phase by phase.

The export stage itself runs, on a base with the published configuration and random weights; peaks
are the process's own (Linux: VmHWM, which is reset at every line). What is held to a bound is the
largest of them. With all 24 layers the model is 15.4 GB: a long command that needs 18 GB of memory
and 13 GB of disk. Where the memory forbids that it takes fewer layers, which the first line says;
ratios are then a little higher, as what the libraries themselves take weighs more.

Run alone: python bench/bench_export_memory.py [--layers N] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lofi_engine.events import Event
from lofi_engine.models.ace_step_v1 import tiny_vocabulary
from lofi_engine.models.ace_step_v1.base import AceStepBase, Configs
from lofi_engine.models.ace_step_v1.config import TransformerConfig, VocoderConfig
from lofi_engine.models.ace_step_v1.dcae import build_dcae
from lofi_engine.models.ace_step_v1.family import AceStepV1
from lofi_engine.models.ace_step_v1.published import DCAE, PUBLISHED, TEXT, TRANSFORMER
from lofi_engine.models.ace_step_v1.text import TextEncoder, build_umt5
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.models.family import Base
from lofi_engine.models.registry import FAMILIES
from lofi_engine.recipe import model
from lofi_engine.stages import export
from lofi_engine.stages.base import StageContext

LAYERS = 24
FEWER = 2
GIB_NEEDED = 17
MOST_RATIO = 1.5
GIB = 2**30
NAME = "ace-step-v1-random"
MEMORY = Path("/proc/meminfo")
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Peaks:
    """Prints each phase's peak, and keeps the largest ratio."""

    def __init__(self) -> None:
        self.weights_bytes = 0
        self.largest = 0.0
        self._began = time.monotonic()

    def report(self, what: str) -> None:
        """Print the peak since the last report and begin anew."""
        kibibytes = {
            line.split(":")[0]: int(line.split()[1])
            for line in STATUS.read_text().splitlines()
            if line.startswith(("VmHWM", "VmRSS"))
        }
        peak, now = (kibibytes[name] * 1024 for name in ("VmHWM", "VmRSS"))
        RESET.write_text("5")
        ratio = peak / self.weights_bytes if self.weights_bytes else 0.0
        self.largest = max(self.largest, ratio)
        seconds = time.monotonic() - self._began
        print(
            f"| {what} | {peak / GIB:.2f} | {ratio:.2f} | {now / GIB:.2f} | {seconds:.0f} |",
            flush=True,
        )

    def take(self, event: Event) -> None:
        """Report what the stage reports."""
        words = f"{event.unit}: {event.message or 'begins'}" if event.unit else event.message
        self.report(words)


def layers_that_fit() -> int:
    """Give all layers where there is the memory for them, else a few."""
    lines = MEMORY.read_text().splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    return LAYERS if free * 1024 >= GIB_NEEDED * GIB else FEWER


@torch.no_grad()
def fill(network: nn.Module) -> nn.Module:
    """Fill `network` in place with values that keep the variance."""
    for name, parameter in network.named_parameters():
        own = name.rpartition(".")[2]
        if parameter.ndim < 2:
            parameter.fill_(1.0 if own == "weight" else 0.1 if own == "gamma" else 0.0)
        elif own != "weight_g":
            bound = math.sqrt(3 / math.prod(parameter.shape[1:]))
            # UMT5 does not divide its scores by the square root of the head's width.
            bound *= 0.25 if name.endswith("SelfAttention.q.weight") else 1
            parameter.uniform_(-bound, bound)
    return network.requires_grad_(False).eval()


class RandomBase(AceStepV1):
    """The published architecture with random weights."""

    def __init__(self, layers: int, peaks: Peaks) -> None:
        self.name = NAME
        self._layers, self._peaks = layers, peaks

    def load(self, *_names: Any, **_settings: Any) -> Base:
        """Build it; nothing is read."""
        torch.manual_seed(0)
        values: Mapping[str, Any] = {**PUBLISHED[TRANSFORMER], "num_layers": self._layers}
        config = TransformerConfig.from_mapping(values)
        small = [fill(build_umt5(PUBLISHED[TEXT])), fill(build_dcae(PUBLISHED[DCAE]))]
        small.append(fill(Vocoder(VocoderConfig())))
        with torch.device("meta"):
            transformer = AceStepTransformer(config)
        networks = (fill(transformer.to_empty(device="cpu")), *small)
        parameters = [parameter for network in networks for parameter in network.parameters()]
        self._peaks.weights_bytes = 4 * sum(parameter.numel() for parameter in parameters)
        transformer_, umt5, dcae, vocoder = networks
        configs = (values, PUBLISHED[DCAE], VocoderConfig().to_mapping(), PUBLISHED[TEXT])
        self._peaks.report(f"building {self._peaks.weights_bytes / GIB:.2f} GiB of weights")
        return AceStepBase(
            identity=NAME,
            configs=Configs(*configs),
            transformer=transformer_,
            dcae=dcae,
            vocoder=vocoder,  # type: ignore[arg-type]
            text=TextEncoder(umt5, tiny_vocabulary.text_tokenizer()),
            lyric_vocabulary=None,
        )


def main() -> None:
    """Export and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, help="of the transformer, of 24")
    parser.add_argument("--folder", type=Path, help="where to write; removed afterwards")
    arguments = parser.parse_args()
    if not RESET.exists():
        sys.exit("peaks are read from /proc, which only Linux has")
    peaks = Peaks()
    layers = arguments.layers or layers_that_fit()
    FAMILIES[NAME] = RandomBase(layers, peaks)
    print(f"{layers} of {LAYERS} layers, {torch.get_num_threads()} threads\n")
    print("| phase | peak, GiB | over the weights | left, GiB | seconds |")
    print("|---|---|---|---|---|")
    peaks.report("python, torch and the engine alone")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        merged, work = folder / "merged", folder / "work"
        (merged / export.MERGED).parent.mkdir(parents=True)
        (merged / export.MERGED).touch()
        work.mkdir()
        context = StageContext("export", work, work, {"merge": merged}, folder, 0, peaks.take)
        base = model.Base(NAME, "builtin:random", "main", None)
        outcome = export.run(context, export.Settings(base, export.OPSET))
        peaks.report("recording")
        parity = outcome.measured["parity"]
    print(f"\nLargest difference from torch: {parity:.1e} standard deviations.")
    print(f"Peak {peaks.largest:.2f}x the float32 weights; with {LAYERS} layers at most ", end="")
    print(f"{MOST_RATIO}x is allowed.")
    if layers == LAYERS and peaks.largest > MOST_RATIO:
        sys.exit("That is too much.")


if __name__ == "__main__":
    main()
