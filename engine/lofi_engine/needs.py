"""What a recipe needs of this machine, checked before a byte is made; everything at once.

Fast and offline: no torch, no network. Figures for the full-size model are computed from its
parameters (3052 M run at inference, 3306 M in the transformer's file).
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib import util
from pathlib import Path

from lofi_engine.errors import NeedsError, StageError
from lofi_engine.measuring.foresight import missing_for_gates
from lofi_engine.models.loading import base_of, family_of
from lofi_engine.quantization.rules import check_variant
from lofi_engine.recipe.model import Recipe
from lofi_engine.training.memory import CARD_BYTES, estimate_training_memory
from lofi_engine.training.selection_needs import missing_for_select
from lofi_engine.training.ssl_features import KINDS, find_ssl_model
from lofi_runtime.bundle import REQUIRED_FILES
from lofi_runtime.version import VERSION

GB = 1_000_000_000

ENGINE_PACKAGES = (
    "torch", "transformers", "diffusers", "peft", "librosa", "onnx", "onnxscript", "safetensors",
    "lameenc", "mutagen",
)  # fmt: skip
"""What the extra `[engine]` adds, by import name."""

COMPONENTS = tuple(Path(name).stem for name in REQUIRED_FILES if name.endswith(".onnx"))

FULL_SIZE_DISK_BYTES = 120 * GB
"""Base 7.7, encoded set 10, twenty adapters of 1.05 and the moments of three, merged float32 13.2,
graphs float32 12.2, four variants about 14, the same again published, and room to work."""
FULL_SIZE_MEMORY_BYTES = 30 * GB
"""Merging and exporting hold the float32 transformer (13.2 GB) and its graph at once."""


def check_needs(recipe: Recipe) -> None:
    """Raise everything this machine lacks for `recipe`, one line each.

    Raises:
        NeedsError: something is missing.
    """
    missing = [f"{recipe.path.name}: {line}" for line in _missing(recipe)]
    if missing:
        hint = f"{recipe.path.name}: try it small first: lofi-recipe run {recipe.path} --rehearse"
        raise NeedsError([*missing, hint] if _is_full_size(recipe) else missing)


def _missing(recipe: Recipe) -> Iterator[str]:
    yield from _missing_packages()
    yield from _missing_base(recipe)
    yield from _missing_tracks(recipe)
    if _is_full_size(recipe):
        yield from _missing_hardware(recipe)
    yield from _missing_token(recipe)
    yield from missing_for_gates(recipe)
    yield from missing_for_select(recipe)
    yield from _missing_ssl_models(recipe)
    yield from _not_built(recipe)


def _is_full_size(recipe: Recipe) -> bool:
    return recipe.base.model.startswith("hf:")


def _missing_packages() -> Iterator[str]:
    # Found, not imported: torch alone would take seconds.
    absent = [name for name in ENGINE_PACKAGES if util.find_spec(name) is None]
    if absent:
        yield f"packages: {', '.join(absent)} missing - pip install 'lofi-recipe[engine]'"


def _missing_base(recipe: Recipe) -> Iterator[str]:
    model = recipe.base.model
    if model.startswith("builtin:"):
        yield from _missing_builtin(model)
        return
    if not model.startswith("hf:"):
        yield from _missing_folder("base.model", model, recipe.home, "put the base there")
    elif not _in_hub_cache(model.removeprefix("hf:"), recipe.base.revision):
        repository = model.removeprefix("hf:")
        yield (
            f"base.model: {repository} (7.7 GB) is not on this machine - "
            f"fetch it with: hf download {repository}"
        )
    vocabulary = recipe.base.lyric_vocabulary
    if vocabulary and vocabulary.startswith("hf:"):
        yield from _missing_hub_file(vocabulary.removeprefix("hf:"))
    elif vocabulary and not (recipe.home / vocabulary).is_file():
        yield f"base.lyric_vocabulary: the file '{vocabulary}' is not there - put it there"


def _missing_builtin(model: str) -> Iterator[str]:
    from lofi_engine.models.ace_step_v1.builtin import check_builtin

    try:
        check_builtin(model)
    except StageError as error:
        yield str(error)


def _missing_folder(key: str, path: str, home: Path, what_to_do: str) -> Iterator[str]:
    if (home / path).is_file():
        yield f"{key}: '{path}' is a file, not a folder - name the folder it lies in"
    elif not (home / path).is_dir():
        yield f"{key}: the folder '{path}' is not there - {what_to_do}"


def _missing_hub_file(location: str) -> Iterator[str]:
    from lofi_engine.models.ace_step_v1.hub import local_file

    try:
        local_file(location)
    except StageError as error:
        yield str(error)


def _in_hub_cache(repository: str, revision: str) -> bool:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot_download(repository, revision=revision, local_files_only=True)
    except (LocalEntryNotFoundError, OSError):
        return False
    return True


def _missing_ssl_models(recipe: Recipe) -> Iterator[str]:
    ssl = recipe.training.ssl
    for name in KINDS if ssl else ():
        try:
            find_ssl_model(name, getattr(ssl, name), recipe.home)
        except StageError as error:
            yield str(error)


def _missing_tracks(recipe: Recipe) -> Iterator[str]:
    for number, source in enumerate(recipe.dataset.sources):
        where = f"dataset.sources[{number}]"
        if source.path is not None:
            yield from _missing_folder(
                f"{where}.path", source.path, recipe.home, "put the tracks there"
            )
        if source.ledger is not None and not (recipe.home / source.ledger).is_file():
            yield f"{where}.ledger: the file '{source.ledger}' is not there - say who made what"


def _missing_hardware(recipe: Recipe) -> Iterator[str]:
    need = _training_bytes(recipe)
    if not _has_accelerator():
        yield (
            f"accelerator: none found; {recipe.training.steps} steps at rank {recipe.lora.r} "
            f"need one with {need / GB:.1f} GB - run on a machine with a GPU"
        )
    if need > CARD_BYTES:
        yield (
            f"training: about {need / GB:.1f} GB of the accelerator's memory, more than the "
            f"{CARD_BYTES // GB} GB it is meant for - lofi-recipe plan {recipe.path} says what "
            "lowers it"
        )
    memory = _memory_bytes()
    if memory < FULL_SIZE_MEMORY_BYTES:
        yield (
            f"memory: {memory / GB:.0f} GB here, {FULL_SIZE_MEMORY_BYTES // GB} GB needed to "
            "merge and export - use a larger machine"
        )
    free = shutil.disk_usage(_existing(recipe.home)).free
    if free < FULL_SIZE_DISK_BYTES:
        yield (
            f"disk: {free / GB:.0f} GB free in {recipe.home}, {FULL_SIZE_DISK_BYTES // GB} GB "
            "needed - free some or move the recipe"
        )


def _missing_token(recipe: Recipe) -> Iterator[str]:
    if recipe.publish.to.startswith("hf:"):
        from huggingface_hub import get_token

        if not get_token():
            yield f"publish.to: no token for {recipe.publish.to} - log in with: hf auth login"


def _not_built(recipe: Recipe) -> Iterator[str]:
    """List what the recipe asks for and this version cannot do; nothing is skipped in silence."""
    if recipe.publish.to.startswith("hf:"):
        yield (
            f"publish.to: lofi-recipe {VERSION} publishes to folders only - name a folder, then "
            "upload it"
        )
    for name, variant in recipe.variants.items():
        try:
            check_variant(name, variant, COMPONENTS)
        except StageError as error:  # days of training come before the stage that would say so
            yield str(error)
    if recipe.execution.engine != "local":
        yield f"execution.engine: '{recipe.execution.engine}' is not built in {VERSION} - use local"


def _training_bytes(recipe: Recipe) -> int:
    """Estimate what training takes of an accelerator; 0 where the base's shape is not known."""
    base = base_of(recipe)
    try:
        outline = family_of(base).training_outline(
            base.model, revision=base.revision, home=recipe.home
        )
    except StageError:  # that the base is missing is said elsewhere
        return 0
    return estimate_training_memory(outline, recipe.lora, recipe.training).training


def _has_accelerator() -> bool:
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return any(Path("/proc/driver/nvidia/gpus").glob("*")) or Path("/dev/kfd").exists()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
