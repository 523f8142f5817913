"""Publishes the variants that passed: bundles, adapter, manifests, model card, prompting guide.

To a folder. The bundles are put together from the quantized graphs, opened and verified as the
runtime will, and only then delivered; the artifact keeps what was said, not the weights.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.hashing import content_hash
from lofi_engine.models.loading import base_of
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.styles.source import StylesSource, styles_folders, styles_source
from lofi_engine.training.adapter_release import (
    Origin,
    origin_of,
    release_facts,
    write_release,
)
from lofi_runtime.atomic import link_or_copy, read_json, write_json

if TYPE_CHECKING:
    from lofi_engine.publishing.facts import Release
    from lofi_engine.publishing.folder import Parcel

VERSION = 4
_NOT_IN_BUNDLE = frozenset({"record.json"})
_REHEARSAL = "-rehearsal"


@dataclass(frozen=True)
class Settings:
    """What shapes a release besides the stages' results."""

    model_name: str
    origin: Origin
    description: str
    to: str
    base: model.Base
    styles: StylesSource
    is_rehearsal: bool


def settings(recipe: model.Recipe) -> Settings:
    """Take what publishing needs from the recipe; its text is part of every manifest."""
    return Settings(
        model_name=recipe.publish.model_name,
        origin=origin_of(recipe),
        description=recipe.description,
        to=recipe.publish.to,
        base=base_of(recipe),
        styles=styles_source(recipe),
        is_rehearsal=bool(recipe.changes) and recipe.name.endswith(_REHEARSAL),
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
    _warn_of_absolute_paths(context, settings)
    release = _release(context, settings)
    bundles = context.work / "bundles"
    adapter = f"{release.model_name}-lora"
    folders = {release.bundle(name): bundles / release.bundle(name) for name in release.records}
    facts = release_facts(settings.origin, release.ledger, settings.base.revision)
    # Its own name carries recipe, release and hash; here the release's folder says as much.
    folders[adapter] = write_release(
        context.inputs["select"] / "adapter", facts, context.work / "adapter"
    )
    steps = itertools.count(1)
    total = len(release.records) + 2 * len(folders)  # put together, then copied and put in place

    def report(message: str) -> None:
        context.emit(next(steps), total, "steps", message)

    for variant in release.records:
        _assemble(context.inputs["quantize"] / variant, release, variant, bundles)
        report(f"{release.bundle(variant)} put together")
    styles = load_styles(settings.styles.folder(context.home))
    pages = {
        "README.md": model_card(release),
        "PROMPTING.md": prompting_guide(styles, context.seed),
    }
    target = context.home / settings.to
    parcel = Parcel(folders, pages, _entries(release))
    delivered = deliver(parcel, target, report)
    _keep_words(context, release, pages)
    return Outcome(
        facts={
            "to": settings.to,
            "bundles": {name: release.bundle(name) for name in release.records},
            "adapter": adapter,
            "files": sorted(delivered),
        },
        measured_files=frozenset({"README.md"}),  # its speed column and commit
        outside=_outside(delivered, parcel, context.home, settings.to),
    )


def _release(context: StageContext, settings: Settings) -> Release:
    from lofi_engine.publishing.facts import (
        Release,
        attributions,
        git_revision,
        ledger_sums,
        published_base,
    )

    measures = read_json(context.inputs["measure"] / "measure.json")
    described = read_json(context.inputs["export"] / "model.json")
    quantized = context.inputs["quantize"]
    variants: dict[str, Any] = measures["variants"]
    return Release(
        model_name=settings.model_name,
        version=settings.origin.release,
        license=settings.origin.license,
        description=settings.description,
        base=published_base(settings.base, context.home),
        identity=described["identity"],
        pipeline=described["pipeline"],
        recipe_text=settings.origin.text,
        changes=settings.origin.changes,
        is_rehearsal=settings.is_rehearsal,
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
            link_or_copy(path, folder / path.name)
    write_json(folder / MANIFEST_NAME, manifest_of(release, variant, folder), sort_keys=True)
    open_bundle(folder, verify=True)


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


def _keep_words(context: StageContext, release: Release, pages: Mapping[str, str]) -> None:
    """Keep pages and manifests in the artifact, drop the weights."""
    for name, text in pages.items():
        (context.work / name).write_text(text, encoding="utf-8")
    for variant in release.records:
        name = release.bundle(variant)
        kept = context.work / "manifests" / f"{name}.json"
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(context.work / "bundles" / name / "manifest.json", kept)
    for weights in ("bundles", "adapter"):
        shutil.rmtree(context.work / weights)


def _outside(delivered: Mapping[str, str], parcel: Parcel, home: Path, to: str) -> dict[str, str]:
    """Give what must stay as it was delivered, by its path from the recipe's folder.

    Several recipes may publish into one folder: its pages are those of the release that came last
    and its index is everybody's, so these need only be there.
    """
    from lofi_engine.publishing.folder import INDEX_NAME

    found = {INDEX_NAME: "", **delivered}
    for file in delivered:
        if file in parcel.pages:
            found[file] = ""
        elif file.endswith(".json"):  # a manifest holds measured figures
            found[file] = content_hash(home / to / file)
    return {(Path(to) / file).as_posix(): digest for file, digest in sorted(found.items())}


def _warn_of_absolute_paths(context: StageContext, settings: Settings) -> None:
    from lofi_engine.publishing.facts import absolute_paths

    for path in absolute_paths("\n".join([settings.origin.text, *settings.origin.changes])):
        context.warn(
            f"the recipe names '{path}' and is published as it is written - "
            "write the path relative to the recipe if it should stay yours"
        )
