"""How long the light commands take beside a bare interpreter: medians and ratios of one run.

Run alone: python bench/bench_startup.py [rounds]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from lofi_runtime.shared_data import shared_folder

STARTER = str(shared_folder("recipes") / "starter.yaml")
RECIPE = [sys.executable, "-m", "lofi_engine.cli.main"]
COMMANDS = {
    "bare interpreter": [sys.executable, "-c", "pass"],
    "lofi-recipe --help": [*RECIPE, "--help"],
    "lofi-recipe validate": [*RECIPE, "validate", STARTER],
    "lofi-recipe plan": [*RECIPE, "plan", STARTER],
    "lofi-runtime --help": [sys.executable, "-m", "lofi_runtime.cli", "--help"],
    "import numpy": [sys.executable, "-c", "import numpy"],
    "import onnxruntime": [sys.executable, "-c", "import onnxruntime"],
    "import torch": [sys.executable, "-c", "import torch"],
}


def seconds(command: list[str]) -> float:
    """Give the wall time of one whole process."""
    clock = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - clock


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):  # interleaved, so that a noisy moment hits every command alike
        for name, command in COMMANDS.items():
            taken[name].append(seconds(command))
    bare = statistics.median(taken["bare interpreter"])
    print(f"| command | median of {rounds} | over a bare interpreter |")
    print("|---|---|---|")
    for name, values in taken.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.2f} s | {median / bare:.1f}x |")


if __name__ == "__main__":
    main()
