"""`lofi-recipe adapter VERB`: LoRA files looked into, converted, passed on.

What the verbs need beyond typer they import inside, since every command loads this module.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lofi_engine.cli.options import AsJson, Overrides, RecipePath
from lofi_engine.cli.verbs import verbs_of
from lofi_runtime.command_line import HELP_OPTIONS

if TYPE_CHECKING:
    from lofi_engine.artifact import Artifact
    from lofi_engine.recipe.model import Recipe

app = typer.Typer(
    name="adapter",
    help="LoRA files: look into any, convert, pass on; settings from and to ACE-Step's trainer.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=HELP_OPTIONS,
)

AdapterPath = Annotated[
    Path, typer.Argument(metavar="PATH", help="A LoRA's safetensors file, or its folder.")
]


class Form(enum.StrEnum):
    """How an adapter lies on disk."""

    PEFT = "peft"
    DIFFUSERS = "diffusers"


_verb = verbs_of(app)


@_verb(
    "inspect", "lofi-recipe adapter inspect pytorch_lora_weights.safetensors --base builtin:tiny"
)
def adapter_inspect(
    path: AdapterPath,
    base: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Say whether it fits: hf:owner/name, or a folder."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Say all that can be known of a LoRA file: form, rank, alpha, scale, targets, base, effect.

    Of anyone's files, not of ours alone. Ends with 1 where it does not fit the base.
    """
    import json

    from lofi_engine.training.adapter_inspect import adapter_lines, inspect_adapter
    from lofi_engine.training.adapter_reading import read_adapter

    facts = inspect_adapter(read_adapter(path), base)
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(adapter_lines(facts)) + "\n")
    return 0 if "fit" not in facts or facts["fit"]["fits"] else 1


@_verb("convert", "lofi-recipe adapter convert my-adapter --to diffusers --out for-comfyui")
def adapter_convert(
    path: AdapterPath,
    form: Annotated[
        Form,
        typer.Option(
            "--to",
            help="peft: adapter_config.json and adapter_model.safetensors; diffusers: "
            "pytorch_lora_weights.safetensors, for ACE-Step, diffusers and ComfyUI.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where to; made if it is not there.")
    ],
) -> int:
    """Write an adapter in another form; converted back, every bit is there again.

    In the form for diffusers the scale is in the weights: strength 1 plays what was trained, also
    where a program reads no alpha.
    """
    from lofi_engine.training.adapter_convert import convert_adapter
    from lofi_engine.training.adapter_reading import read_adapter

    adapter = read_adapter(path)
    for file in convert_adapter(adapter, form.value, out):
        sys.stdout.write(f"{file}\n")
    if adapter.is_dora and form is Form.DIFFUSERS:
        _say("DoRA: ComfyUI does not play its magnitudes; merge it for ComfyUI")
    if not adapter.config and not adapter.alphas:
        _say("no alpha is stated in it: it is taken at scale 1, as loaders play it")
    return 0


@_verb("export", "lofi-recipe adapter export recipes/starter.yaml --out adapters")
def adapter_export(
    path: RecipePath,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where its folder goes.")
    ] = Path(),
    overrides: Overrides = None,
) -> int:
    """Write the adapter a recipe chose as RECIPE-RELEASE-HASH, in both forms, saying what made it.

    Each file carries rank, alpha, base and revision, the recipe's text and hash, and a summary of
    the data ledger.
    """
    from lofi_engine.models.loading import base_of
    from lofi_engine.publishing.facts import absolute_paths, ledger_sums
    from lofi_engine.recipe.load import load_recipe
    from lofi_engine.training.adapter_release import origin_of, release_facts, write_release

    recipe = load_recipe(path, overrides or ())
    chosen, curated = _finished(path, recipe, ("select", "curate"))
    for found in absolute_paths(recipe.text):
        _say(f"the recipe's text, which goes into the files, names {found}")
    ledger = ledger_sums(curated.folder)
    facts = release_facts(origin_of(recipe), ledger, base_of(recipe).revision)
    place = write_release(chosen.folder / "adapter", facts, out)
    sys.stdout.write(f"{place}\n")
    return 0


@_verb(
    "import-trainer",
    "lofi-recipe adapter import-trainer lofi_lora_config.json --out mine.yaml -- "
    "--learning_rate 1e-4 --max_steps 50000",
)
def adapter_import_trainer(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The LoRA config of ACE-Step's trainer.")
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- OPTIONS]", help="The options trainer.py is started with."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the recipe goes.")
    ] = Path("imported.yaml"),
) -> int:
    """Write a recipe that trains as ACE-Step's trainer.py does; never overwrites."""
    from lofi_engine.errors import StageError
    from lofi_engine.recipe.load import load_text
    from lofi_engine.training.stock_trainer.importing import import_trainer
    from lofi_runtime.atomic import write_text

    if out.exists():
        raise StageError(f"{out}: is there already", hint="name another file with --out")
    imported = import_trainer(config, arguments or ())
    load_text(imported.text, out)
    write_text(out, imported.text)
    for note in imported.notes:
        _say(f"not taken over: {note}")
    sys.stdout.write(f"{out}\n")
    return 0


@_verb("export-trainer", "lofi-recipe adapter export-trainer recipes/v1.yaml --out ../ACE-Step")
def adapter_export_trainer(
    path: RecipePath,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where lofi_lora_config.json goes.")
    ] = Path(),
    dataset: Annotated[
        str, typer.Option(metavar="PATH", help="The dataset to name on the command line.")
    ] = "dataset/train",
    overrides: Overrides = None,
) -> int:
    """Write a recipe's LoRA config for ACE-Step's trainer.py, and print its command line.

    The dataset comes from `lofi-recipe data export --format datasets`.
    """
    from lofi_engine.errors import StageError
    from lofi_engine.recipe.load import load_recipe
    from lofi_engine.training.stock_trainer.exporting import CONFIG_NAME, export_trainer
    from lofi_runtime.atomic import write_json

    recipe = load_recipe(path, overrides or ())
    exported = export_trainer(recipe)
    place = out / CONFIG_NAME
    if place.exists():
        raise StageError(f"{place}: is there already", hint="name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(place, exported.config)
    for note in exported.notes:
        _say(f"otherwise there: {note}")
    sys.stdout.write(exported.command(str(place), dataset) + "\n")
    return 0


def _finished(path: Path, recipe: Recipe, names: Sequence[str]) -> list[Artifact]:
    """Give finished stages' artifacts.

    Raises:
        StageError: one of them must run first; says which and why.
    """
    from lofi_engine.errors import StageError
    from lofi_engine.run import plan_states
    from lofi_engine.stages.registry import STAGES

    states = {state.stage.name: state for state in plan_states(recipe, STAGES)}
    found = []
    for name in names:
        artifact = states[name].artifact
        if artifact is None:
            raise StageError(
                f"{path}: {name} is not finished ({states[name].reason})",
                hint=f"run it first: lofi-recipe run {path}",
            )
        found.append(artifact)
    return found


def _say(line: str) -> None:
    sys.stderr.write(f"lofi-recipe: {line}\n")
