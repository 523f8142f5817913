"""What a training took in this process: time by step, memory, weights (Linux)."""

from __future__ import annotations

import gc
import importlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Measured:
    """What one loop took.

    Args:
        losses: of every step.
        processor: seconds of each step.
        clock: seconds of each step, by the clock.
        peak: highest resident memory in bytes.
        weights: bytes of the networks held.
        parts: the processor's seconds in all steps by what they went to, where that is counted.
    """

    losses: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)
    peak: int = 0
    weights: int = 0
    parts: Mapping[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to measure."""
        RESET.write_text("5", encoding="utf-8")  # forgets the peak so far
        self._read_clocks()

    def step(self) -> None:
        """Note that a step is done."""
        self.processor.append(time.process_time() - self._processor)
        self.clock.append(time.perf_counter() - self._clock)
        if len(self.clock) == 1:
            self.peak = resident("VmHWM")
            self.weights = weight_bytes()
            RESET.write_text("5", encoding="utf-8")
        self._read_clocks()

    def end(self) -> None:
        """Take the peak."""
        self.peak = max(self.peak, resident("VmHWM"))

    def _read_clocks(self) -> None:
        self._processor, self._clock = time.process_time(), time.perf_counter()


def resident(name: str) -> int:
    """Read a figure of this process's memory, in bytes: "VmRSS" now, "VmHWM" at most."""
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def weight_bytes() -> int:
    """Count the bytes of all weights of all networks that are alive."""
    found: dict[int, int] = {}
    for one in gc.get_objects():
        if issubclass(type(one), torch.nn.Module):
            for part in (*one.parameters(), *one.buffers()):
                if part.device.type != "meta":
                    found[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
    return sum(found.values())


def import_only(names: list[str]) -> int:
    """Import modules in their order; give the memory that takes."""
    for name in names:
        try:
            importlib.import_module(name)
        except (ImportError, AttributeError, TypeError):
            continue  # made by a library while it ran, not imported
    gc.collect()
    return resident("VmRSS")
