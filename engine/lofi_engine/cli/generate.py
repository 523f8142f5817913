"""`lofi-recipe generate`: hear a variant this recipe has published, through the runtime."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lofi_engine.errors import StageError
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import plan_states
from lofi_engine.stages.registry import STAGES


def run_generate(
    path: Path,
    prompt: str,
    *,
    overrides: Sequence[str] = (),
    variant: str,
    out: Path | None,
    duration_sec: int,
    seed: int,
    inference_steps: int,
    guidance_scale: float,
) -> int:
    """Generate a track with a published variant and print where it is.

    Raises:
        StageError: the recipe has no such variant, or nothing is published yet.
        LofiError: the bundle is damaged, or a parameter is out of its range.
    """
    from lofi_runtime.local import generate_to
    from lofi_runtime.settings import Settings

    params = {
        "prompt": prompt,
        "duration_sec": duration_sec,
        "seed": seed,
        "backend": "ace_step",
        "inference_steps": inference_steps,
        "guidance_scale": guidance_scale,
    }
    settings = Settings(bundle=_published_bundle(path, variant, overrides))
    track = generate_to(params, settings, out, say=_say)
    sys.stdout.write(f"{track}\n")
    return 0


def _say(warning: str) -> None:
    sys.stderr.write(f"lofi-recipe: {warning}\n")


def _published_bundle(path: Path, variant: str, overrides: Sequence[str]) -> Path:
    recipe = load_recipe(path, overrides)
    if variant not in recipe.variants:
        raise StageError(
            f"{path}: variants: there is no '{variant}'",
            hint=f"there are {', '.join(recipe.variants)}",
        )
    publish = next(state for state in plan_states(recipe, STAGES) if state.stage.name == "publish")
    if publish.artifact is None:
        raise StageError(
            f"{path}: nothing is published yet ({publish.reason})",
            hint=f"run it first: lofi-recipe run {path}",
        )
    facts = publish.artifact.content["facts"]
    folder: Path = recipe.home / facts["to"] / facts["bundles"][variant]
    return folder.resolve()
