"""From a recipe to ACE-Step's LoRA config and command line."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lofi_engine.recipe.model import Recipe, Training
from lofi_engine.training.stock_trainer.options import (
    BASE,
    LONGEST_SEC,
    LORA_KEYS,
    PRECISION_OF,
    WARMUP_STEPS,
)

CONFIG_NAME = "lofi_lora_config.json"


@dataclass(frozen=True)
class Exported:
    """What `trainer.py` needs to train as a recipe does.

    Args:
        config: the LoRA config, as JSON values.
        arguments: of the command line, without `--lora_config_path` and `--dataset_path`.
        notes: what of the recipe the trainer does otherwise, one line each.
    """

    config: dict[str, Any]
    arguments: tuple[str, ...]
    notes: tuple[str, ...]

    def command(self, config: str, dataset: str) -> str:
        """Write the whole command line for a shell."""
        places = ("--lora_config_path", config, "--dataset_path", dataset)
        return shlex.join(["python", "trainer.py", *places, *self.arguments])


def export_trainer(recipe: Recipe) -> Exported:
    """Say a recipe's training in the words of ACE-Step's trainer."""
    lora, training = recipe.lora, recipe.training
    config = {theirs: getattr(lora, ours) for theirs, ours in LORA_KEYS.items()}
    config["target_modules"] = list(lora.targets)
    if not lora.dora:
        del config["use_dora"]
    precision = PRECISION_OF[training.precision]
    if training.precision == training.base_precision == "bf16":
        precision = "bf16-true"
    arguments = {
        "exp_name": recipe.name,
        "max_steps": training.steps,
        "learning_rate": training.learning_rate,
        "shift": training.timestep_shift,
        "precision": precision,
        "accumulate_grad_batches": training.accumulate * training.batch_size,
        "devices": training.processes,
        "gradient_clip_val": training.clip_grad_norm,
        "every_n_train_steps": training.checkpoint_every,
        "every_plot_step": training.sample_every,
    }
    if not recipe.base.model.startswith(("hf:", "builtin:")):
        arguments["checkpoint_dir"] = recipe.base.model
    words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    return Exported(config, tuple(words), tuple(_notes(recipe)))


def _notes(recipe: Recipe) -> Iterator[str]:
    training, base = recipe.training, recipe.base.model
    if base.startswith("builtin:") or (base.startswith("hf:") and base != BASE):
        yield f"base.model: {base}: it trains {BASE} or the folder --checkpoint_dir names"
    if training.batch_size > 1:
        yield (
            f"training.batch_size: {training.batch_size}: it takes one track at a time; "
            "--accumulate_grad_batches is multiplied by it"
        )
    yield from (f"{key}: {said}" for key, said, differs in _fixed(training) if differs)
    yield "select: it keeps every checkpoint and chooses none"


def _fixed(training: Training) -> Iterator[tuple[str, str, bool]]:
    """Give what the trainer lets nobody choose: the key, what it does, and whether it differs."""
    dropout = training.condition_dropout
    yield (
        "training.warmup_steps",
        f"{training.warmup_steps}: it warms up for {WARMUP_STEPS}",
        training.warmup_steps != WARMUP_STEPS,
    )
    yield (
        "training.window_sec",
        f"{training.window_sec:g}: it trains on whole tracks of up to {LONGEST_SEC} seconds",
        training.window_sec != LONGEST_SEC,
    )
    yield (
        "training.sampling",
        "it draws every track equally often",
        training.sampling.by != "track",
    )
    yield (
        "training.condition_dropout",
        "it drops text 0.15, lyric 0.15, speaker 0.5",
        (dropout.text, dropout.lyric, dropout.speaker) != (0.15, 0.15, 0.5),
    )
    yield (
        "training.ssl",
        "it always pulls towards MERT and mHuBERT, with coefficient 1",
        training.ssl is None or training.ssl.coefficient != 1.0,
    )
    yield "training.early_stop", "it never stops early", training.early_stop is not None
    yield "training.optimizer", "it has AdamW alone", training.optimizer != "adamw"
    yield (
        "training.base_precision",
        f"{training.base_precision}: it holds the base in float32",
        training.base_precision in ("8bit", "4bit")
        or (training.base_precision == "bf16" and training.precision != "bf16"),
    )
    yield (
        "training.gradient_checkpointing",
        "it always does it",
        not training.gradient_checkpointing,
    )
