"""Publishes the variants that passed: bundles, adapter, manifests, model card, prompting guide.

To a folder. The bundles are put together from the quantized graphs, opened and verified as the
runtime will, and only then delivered; the artifact keeps what was said, not the weights.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.styles.source import StylesSource, styles_folders, styles_source

if TYPE_CHECKING:
    from lofi_engine.publishing.facts import Release

VERSION = 1
_NOT_IN_BUNDLE = frozenset({"record.json"})


@dataclass(frozen=True)
class Settings:
    """What shapes a release besides the stages' results."""

    model_name: str
    release: str
    description: str
    license: str
    to: str
    base: model.Base
    styles: StylesSource
    recipe_text: str


def settings(recipe: model.Recipe) -> Settings:
    """Take what publishing needs from the recipe; its text is part of every manifest."""
    return Settings(
        model_name=recipe.publish.model_name,
        release=recipe.release,
        description=recipe.description,
        license=recipe.publish.license,
        to=recipe.publish.to,
        base=base_of(recipe),
        styles=styles_source(recipe),
        recipe_text=recipe.text,
    )


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The recipe's own styles are printed in the prompting guide."""
    return styles_folders(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Put the bundles together, verify them, deliver them.

    Raises:
        StageError: the target holds something that is not ours, or a manifest is wrong.
    """
    from lofi_engine.publishing.card import model_card
    from lofi_engine.publishing.folder import Parcel, deliver
    from lofi_engine.publishing.prompting import prompting_guide
    from lofi_runtime.styles.taxonomy import load_styles

    if settings.to.startswith("hf:"):
        raise StageError(
            f"publish.to: '{settings.to}': publishing to the Hub is not built yet",
            hint="publish to a folder and upload it",
        )
    release = _release(context, settings)
    bundles = context.work / "bundles"
    total = len(release.records) + 2
    for number, variant in enumerate(release.records):
        _assemble(context.inputs["quantize"] / variant, release, variant, bundles)
        context.emit(number + 1, total, "folders", release.bundle(variant))
    adapter = f"{release.model_name}-lora"
    styles = load_styles(settings.styles.folder(context.home))
    pages = {
        "README.md": model_card(release),
        "PROMPTING.md": prompting_guide(styles, context.seed),
    }
    folders = {release.bundle(name): bundles / release.bundle(name) for name in release.records}
    folders[adapter] = context.inputs["select"] / "adapter"
    parcel = Parcel(folders, pages, _entries(release))
    target = context.home / settings.to
    files = deliver(parcel, target)
    context.emit(total - 1, total, "folders", adapter)
    outside = _keep_words(context, release, pages, files, settings.to)
    context.emit(total, total, "folders", str(settings.to))
    return Outcome(
        facts={
            "to": settings.to,
            "bundles": {name: release.bundle(name) for name in release.records},
            "adapter": adapter,
            "files": list(files),
        },
        measured_files=frozenset({"README.md"}),  # its speed column
        outside=outside,
    )


def _release(context: StageContext, settings: Settings) -> Release:
    from lofi_engine.publishing.facts import (
        Release,
        attributions,
        git_revision,
        ledger_sums,
        read_json,
    )

    measures = read_json(context.inputs["measure"] / "measure.json")
    described = read_json(context.inputs["export"] / "model.json")
    quantized = context.inputs["quantize"]
    variants: dict[str, Any] = measures["variants"]
    return Release(
        model_name=settings.model_name,
        version=settings.release,
        license=settings.license,
        description=settings.description,
        base=settings.base,
        identity=described["identity"],
        pipeline=described["pipeline"],
        recipe_text=settings.recipe_text,
        git_revision=git_revision(context.home),
        ledger=ledger_sums(context.inputs["curate"]),
        attributions=attributions(context.inputs["curate"]),
        records={name: read_json(quantized / name / "record.json") for name in variants},
        measures={
            name: {"quality": found, "measured": measures["measured"].get(name, {})}
            for name, found in variants.items()
        },
    )


def _assemble(quantized: Path, release: Release, variant: str, bundles: Path) -> None:
    from lofi_engine.publishing.manifest import manifest_of
    from lofi_runtime.bundle import MANIFEST_NAME, open_bundle

    folder = bundles / release.bundle(variant)
    folder.mkdir(parents=True)
    for path in sorted(quantized.iterdir()):
        if path.name not in _NOT_IN_BUNDLE:
            _link_or_copy(path, folder / path.name)
    manifest = manifest_of(release, variant, folder)
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
    open_bundle(folder, verify=True)


def _link_or_copy(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, place)


def _entries(release: Release) -> dict[str, dict[str, Any]]:
    return {
        release.bundle(variant): {
            "variant": variant,
            "version": release.version,
            "size_bytes": record["total_bytes"],
            "license": release.license,
            "oldest_onnxruntime": record["oldest_onnxruntime"],
        }
        for variant, record in release.records.items()
    }


def _keep_words(
    context: StageContext,
    release: Release,
    pages: dict[str, str],
    files: tuple[str, ...],
    to: str,
) -> tuple[str, ...]:
    """Keep pages and manifests in the artifact, drop the weights; give the delivered paths."""
    for name, text in pages.items():
        (context.work / name).write_text(text, encoding="utf-8")
    for variant in release.records:
        name = release.bundle(variant)
        kept = context.work / "manifests" / f"{name}.json"
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(context.work / "bundles" / name / "manifest.json", kept)
    shutil.rmtree(context.work / "bundles")
    return tuple((Path(to) / file).as_posix() for file in files)
