"""The options of ACE-Step's `trainer.py`, each with its default and what a recipe says instead."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from lofi_engine.errors import StageError
from lofi_engine.recipe.problems import did_you_mean


@dataclass(frozen=True)
class Option:
    """One option.

    Args:
        kind: what its value is read as.
        default: what the trainer takes without it.
        key: the recipe's key that says the same; "" where none does.
        instead: what lofi-recipe does in its place, where no key says the same.
    """

    kind: type
    default: Any
    key: str = ""
    instead: str = ""


OPTIONS: Mapping[str, Option] = {
    "num_nodes": Option(int, 1, "training.processes"),
    "shift": Option(float, 3.0, "training.timestep_shift"),
    "learning_rate": Option(float, 1e-4, "training.learning_rate"),
    "num_workers": Option(int, 8, instead="tracks are encoded once, so nothing is loaded ahead"),
    "epochs": Option(int, -1, instead="training.steps alone says how long"),
    "max_steps": Option(int, 2000000, "training.steps"),
    "every_n_train_steps": Option(int, 2000, "training.checkpoint_every"),
    "dataset_path": Option(
        str, "./zh_lora_dataset", instead="name your folder of audio in dataset.sources"
    ),
    "exp_name": Option(str, "chinese_rap_lora", "name"),
    "precision": Option(str, "32", "training.precision"),
    "accumulate_grad_batches": Option(int, 1, "training.accumulate"),
    "devices": Option(int, 1, "training.processes"),
    "logger_dir": Option(str, "./exps/logs/", instead="logs lie in runs/ beside the recipe"),
    "ckpt_path": Option(str, None, instead="a run that was stopped goes on by itself"),
    "checkpoint_dir": Option(str, None, "base.model"),
    "gradient_clip_val": Option(float, 0.5, "training.clip_grad_norm"),
    "gradient_clip_algorithm": Option(str, "norm", instead="gradients are clipped by their norm"),
    "reload_dataloaders_every_n_epochs": Option(
        int, 1, instead="windows are drawn anew for every step"
    ),
    "every_plot_step": Option(int, 2000, "training.sample_every"),
    "val_check_interval": Option(
        int, None, instead="every checkpoint is judged on held-out tracks"
    ),
    "lora_config_path": Option(str, "config/zh_rap_lora_config.json", "lora"),
}

PRECISIONS: Mapping[str, tuple[str, str]] = {
    "32": ("fp32", "fp32"),
    "32-true": ("fp32", "fp32"),
    "bf16": ("bf16", "fp32"),
    "bf16-mixed": ("bf16", "fp32"),
    "bf16-true": ("bf16", "bf16"),
    "16": ("fp16", "fp32"),
    "16-mixed": ("fp16", "fp32"),
}
"""What `--precision` means: the arithmetic's precision, and the base's in memory."""
PRECISION_OF = {"fp32": "32", "bf16": "bf16-mixed", "fp16": "16-mixed"}
"""What `--precision` says for a recipe's `training.precision`."""

LORA_KEYS = {
    "r": "r",
    "lora_alpha": "alpha",
    "use_rslora": "rslora",
    "use_dora": "dora",
    "target_modules": "targets",
}
"""The LoRA config's keys and those of a recipe's `lora` block."""
LORA_DEFAULTS: Mapping[str, Any] = {
    "r": 8,
    "lora_alpha": 8,
    "use_rslora": False,
    "use_dora": False,
}
"""PEFT's own, for keys that the config leaves out."""
WITHOUT_EFFECT: Mapping[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "task_type": (None,),
    "lora_dropout": (0, 0.0),
    "bias": ("none",),
    "lora_bias": (False,),
    "inference_mode": (False, True),
    "init_lora_weights": (True,),
    "base_model_name_or_path": (None,),
    "fan_in_fan_out": (False,),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "exclude_modules": (None, []),
    "layers_to_transform": (None,),
    "layers_pattern": (None,),
}
"""Other keys of PEFT's config and the values that ask for nothing a recipe cannot say."""

WARMUP_STEPS = 10
"""The trainer's own; no option reaches it."""
MERT, MHUBERT = "hf:m-a-p/MERT-v1-330M", "hf:utter-project/mHuBERT-147"
LONGEST_SEC = 240
"""It trains on whole tracks, cut off here."""
BASE = "hf:ACE-Step/ACE-Step-v1-3.5B"


def parse_options(arguments: Sequence[str]) -> dict[str, Any]:
    """Read a command line of `trainer.py`; those that are not given are left out.

    Raises:
        StageError: an option is unknown, or a value is not of its kind.
    """
    parser = _Parser(prog="trainer.py", add_help=False, argument_default=argparse.SUPPRESS)
    for name, option in OPTIONS.items():
        parser.add_argument(f"--{name}", type=option.kind)
    given = list(arguments)
    while given and (given[0].startswith("python") or given[0].endswith(".py")):
        given = given[1:]
    known, unknown = parser.parse_known_args(given)
    if unknown:
        hints = [f"'{word}'{did_you_mean(word.lstrip('-'), list(OPTIONS))}" for word in unknown]
        raise StageError(
            f"trainer.py has no option {', '.join(hints)}",
            hint=f"it has {', '.join(f'--{name}' for name in OPTIONS)}",
        )
    return vars(known)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse what cannot be read."""
        raise StageError(f"trainer.py: {message}", hint="give its options as trainer.py reads them")
