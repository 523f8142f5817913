"""From ACE-Step's LoRA config and command line to a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.recipe.problems import did_you_mean
from lofi_engine.recipe.template import name_from
from lofi_engine.training.stock_trainer.options import (
    BASE,
    LONGEST_SEC,
    LORA_DEFAULTS,
    LORA_KEYS,
    MERT,
    MHUBERT,
    OPTIONS,
    PRECISIONS,
    WARMUP_STEPS,
    WITHOUT_EFFECT,
    parse_options,
)
from lofi_runtime.atomic import read_json

DATA = {
    "path": "lofi-training-data/raw",
    "ledger": "lofi-training-data/metadata/sources.json",
}
"""Where `lofi-recipe data init` puts tracks and their ledger."""


@dataclass(frozen=True)
class Imported:
    """A recipe made of the trainer's settings.

    Args:
        text: the recipe, YAML.
        notes: what it does not say, one line each; the recipe's first lines say it too.
    """

    text: str
    notes: tuple[str, ...]


def import_trainer(config: Path, arguments: Sequence[str] = ()) -> Imported:
    """Make a recipe that trains as `trainer.py` with this config and these arguments does.

    Args:
        config: the LoRA config, JSON, as `--lora_config_path` names it.
        arguments: of the trainer's command line.

    Raises:
        StageError: the config cannot be read, or it or the command line asks for something that
            is unknown or that no recipe can say.
    """
    import yaml

    given = parse_options(arguments)
    notes = list(_notes(given, config))
    values = {
        "version": 1,
        "name": name_from(Path(f"{given.get('exp_name', config.stem)}.yaml")),
        "release": "0.1.0",
        "base": {"family": "ace-step-v1", "model": given.get("checkpoint_dir") or BASE},
        "dataset": {
            "sources": [dict(DATA)],
            "licenses": {"allow": ["commissioned", "royalty-free", "cc0", "cc-by-4.0"]},
        },
        "lora": _lora(config),
        "training": _training(given),
        "variants": {"fp16": {"weights": "fp16"}, "int8": {"weights": "int8"}},
        "publish": {"to": "published", "license": "apache-2.0"},
    }
    head = [
        f"# Trains as ACE-Step's trainer.py does with {config.name}.",
        "# dataset.sources: `lofi-recipe data init lofi-training-data` makes the folder it names.",
        *(f"# Not taken over: {note}" for note in notes),
    ]
    text = "\n".join(head) + "\n" + yaml.safe_dump(values, sort_keys=False)
    return Imported(text, tuple(notes))


def _lora(config: Path) -> dict[str, Any]:
    try:
        said = read_json(config)
    except (OSError, ValueError) as error:
        raise StageError(
            f"{config}: no LoRA config ({error})",
            hint="it is a JSON file such as lofi_lora_config.json",
        ) from error
    if not isinstance(said, dict):
        raise StageError(f"{config}: no LoRA config: not a mapping")
    for key, value in said.items():
        if key not in LORA_KEYS and key not in WITHOUT_EFFECT:
            known = [*LORA_KEYS, *WITHOUT_EFFECT]
            raise StageError(
                f"{config}: '{key}' is unknown{did_you_mean(key, known)}",
                hint=f"a recipe says {', '.join(LORA_KEYS)}",
            )
        if key in WITHOUT_EFFECT and value not in WITHOUT_EFFECT[key]:
            raise StageError(
                f"{config}: {key}: {value!r} has no counterpart in a recipe",
                hint=f"leave it out, or set it to {WITHOUT_EFFECT[key][0]!r}",
            )
    targets = said.get("target_modules")
    if not isinstance(targets, list) or not all(isinstance(name, str) for name in targets):
        raise StageError(
            f"{config}: target_modules: {targets!r} is no list of module names",
            hint="name the modules one by one, such as to_q",
        )
    return {ours: said.get(theirs, LORA_DEFAULTS.get(theirs)) for theirs, ours in LORA_KEYS.items()}


def _training(given: Mapping[str, Any]) -> dict[str, Any]:
    def said(name: str) -> Any:
        return given.get(name, OPTIONS[name].default)

    precision = said("precision")
    if precision not in PRECISIONS:
        raise StageError(
            f"trainer.py: --precision {precision} has no counterpart in a recipe",
            hint=f"use one of {', '.join(PRECISIONS)}",
        )
    if said("gradient_clip_algorithm") != "norm":
        raise StageError(
            f"trainer.py: --gradient_clip_algorithm {said('gradient_clip_algorithm')} has no "
            "counterpart in a recipe",
            hint="gradients are clipped by their norm",
        )
    arithmetic, base = PRECISIONS[precision]
    return {
        "steps": said("max_steps"),
        "batch_size": 1,
        "accumulate": said("accumulate_grad_batches"),
        "learning_rate": said("learning_rate"),
        "warmup_steps": min(WARMUP_STEPS, said("max_steps")),
        "precision": arithmetic,
        "base_precision": base,
        "gradient_checkpointing": True,
        "processes": said("devices") * said("num_nodes"),
        "clip_grad_norm": said("gradient_clip_val"),
        "window_sec": LONGEST_SEC,
        "checkpoint_every": said("every_n_train_steps"),
        "sample_every": said("every_plot_step"),
        "timestep_shift": said("shift"),
        "sampling": {"by": "track", "shuffle_tags": True},
        "condition_dropout": {"text": 0.15, "lyric": 0.15, "speaker": 0.5},
        "ssl": {"mert": MERT, "mhubert": MHUBERT, "coefficient": 1.0},
    }


def _notes(given: Mapping[str, Any], config: Path) -> Sequence[str]:
    notes = [
        f"--{name} {value}: {OPTIONS[name].instead}"
        for name, value in given.items()
        if OPTIONS[name].instead and value != OPTIONS[name].default
    ]
    other = given.get("lora_config_path")
    if other is not None and Path(other).name != config.name:
        notes.append(f"--lora_config_path {other}: {config} was read")
    return notes
