"""Checks every track, brings the good ones to one form, and says of each other one why not.

Leaves `tracks/<track>.mp3` (or .flac), 48 kHz stereo; `sidecars/<track>_prompt.txt` and
`_lyrics.txt` where the source had them; and `ledger.json`, a row for every file, also the refused,
and for every entry of a ledger that means no file. A bad file never ends the run: it is refused by
name. Resumable per track.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.data.drafts import Draft, Policy, draft_sources
from lofi_engine.data.folder import one_line
from lofi_engine.data.names import Names
from lofi_engine.data.prepare import (
    FINGERPRINT_NAME,
    WORK_VERSION,
    Job,
    Prepared,
    job_key,
    load_unit,
    prepare,
)
from lofi_engine.data.rows import Row, write_rows
from lofi_engine.data.twins import Good, Verdict, judge_twins
from lofi_engine.data.workers import prepare_all
from lofi_engine.errors import StageError
from lofi_engine.recipe.model import Licenses, Quality, Recipe, Source
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.styles.source import StylesSource, styles_folders, styles_source
from lofi_runtime.atomic import link_or_copy
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.synth import VERSION as SYNTH_VERSION

if TYPE_CHECKING:
    from lofi_engine.audio.fingerprint import Fingerprint

VERSION = 4

_TRACKS = "tracks"
_SIDECARS = "sidecars"
_UNITS = "units"


@dataclass(frozen=True)
class Settings:
    """What shapes the curated set besides the files themselves.

    What the recipe only hopes for (`target_tracks`, `budget`) shapes nothing and stays out; see
    `lofi_engine.data.targets`.
    """

    sources: tuple[Source, ...]
    licenses: Licenses
    publish_license: str
    quality: Quality
    duplicates: str
    styles: StylesSource
    work_version: int
    synth_version: int | None


def settings(recipe: Recipe) -> Settings:
    """Take what curating needs from the recipe."""
    dataset = recipe.dataset
    return Settings(
        sources=dataset.sources,
        licenses=dataset.licenses,
        publish_license=recipe.publish.license,
        quality=dataset.quality,
        duplicates=dataset.duplicates,
        styles=styles_source(recipe),
        work_version=WORK_VERSION,
        # Only where something is synthesised: a better synthesiser changes nothing else.
        synth_version=SYNTH_VERSION if any(source.synth for source in dataset.sources) else None,
    )


def sources(recipe: Recipe) -> tuple[Path, ...]:
    """List the folders of tracks, their ledgers and the recipe's own styles."""
    named = [
        recipe.home / path
        for source in recipe.dataset.sources
        for path in (source.path, source.ledger)
        if path is not None
    ]
    return (*named, *styles_folders(recipe))


def run(context: StageContext, settings: Settings) -> Outcome:
    """Curate all sources.

    Raises:
        StageError: a folder or ledger is missing or wrong, or no track at all can be used; then
            the message has a line for every file.
    """
    drafts = _drafts(context, settings)
    prepared = _prepare(context, drafts)
    rows = _settle(context, drafts, prepared, keep_near=settings.duplicates == "keep")
    accepted = [row for row in rows if row.accepted]
    if not accepted:
        refused = [row for row in rows if row.status == "rejected"]
        lines = [f"  {one_line(row.source)}: {row.reason}" for row in refused]
        raise StageError("\n".join([f"none of the {len(refused)} files can be used:", *lines]))
    write_rows(context.work, rows)
    facts = _facts(rows, accepted)
    _tell(context, rows)
    return Outcome(facts=facts)


def _drafts(context: StageContext, settings: Settings) -> list[Draft]:
    styles = load_styles(settings.styles.folder(context.home))
    policy = Policy(settings.licenses, settings.quality, styles, settings.publish_license)
    return draft_sources(context.home, settings.sources, policy, context.seed, context.warn)


def _prepare(context: StageContext, drafts: Sequence[Draft]) -> Mapping[str, Prepared]:
    """Do what no earlier run has done; give what came of each job, by its key."""
    units = context.progress / _UNITS
    waiting: dict[str, list[Draft]] = {}
    jobs: dict[str, Job] = {}
    done = 0
    prepared: dict[str, Prepared] = {}
    for draft in drafts:
        if draft.job is None:
            done += 1
            continue
        key = job_key(draft.job)
        kept = prepared.get(key) or _load(units / key)
        if kept is not None:
            prepared[key] = kept
            done += 1
            continue
        waiting.setdefault(key, []).append(draft)
        jobs[key] = draft.job
    context.emit(done, len(drafts), _TRACKS, f"{len(prepared)} kept from before" * bool(prepared))
    units.mkdir(parents=True, exist_ok=True)
    keys = list(jobs)
    for number, result in prepare_all(
        [(jobs[key], units / key) for key in keys], prepare, workers=context.workers
    ):
        prepared[keys[number]] = result
        for draft in waiting[keys[number]]:
            done += 1
            reasons = (*draft.refusals, *result.reasons)
            refused = f": refused: {'; '.join(reasons)}" if reasons else ""
            context.emit(done, len(drafts), _TRACKS, f"{one_line(draft.source)}{refused}")
    return prepared


def _load(unit: Path) -> Prepared | None:
    """Read a finished unit; None when there is none or anything of it is damaged."""
    result = load_unit(unit)
    return result if result is None or not result.file or _fingerprint(unit) is not None else None


def _fingerprint(unit: Path) -> Fingerprint | None:
    import numpy as np

    try:
        drawn: Fingerprint = np.load(unit / FINGERPRINT_NAME, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return drawn


def _settle(
    context: StageContext,
    drafts: Sequence[Draft],
    prepared: Mapping[str, Prepared],
    *,
    keep_near: bool,
) -> list[Row]:
    """Decide in the sources' order, name the good ones and put their files in place."""
    units = [_unit(context, draft) for draft in drafts]
    results = [prepared.get(unit.name, Prepared()) for unit in units]
    refusals = [
        "; ".join([*draft.refusals, *result.reasons])
        for draft, result in zip(drafts, results, strict=True)
    ]
    good = [at for at, refusal in enumerate(refusals) if not refusal]
    context.emit(len(drafts), len(drafts), _TRACKS, "looking for near duplicates")
    judged = judge_twins(
        [_good(drafts[at], results[at], units[at]) for at in good], keep_near=keep_near
    )
    verdicts = dict(zip(good, judged, strict=True))
    names = Names()
    tracks = {
        at: names.take(drafts[at].stem, drafts[at].source) for at in good if not verdicts[at].reason
    }
    (context.work / _TRACKS).mkdir()
    rows = []
    for at, (draft, result) in enumerate(zip(drafts, results, strict=True)):
        verdict = verdicts.get(at, Verdict(refusals[at]))
        track = tracks.get(at, "")
        file = _place(context, draft, track, units[at] / result.file) if track else ""
        group = next((tracks[good[n]] for n in verdict.group if good[n] in tracks), "")
        rows.append(_row(draft, result, reason=verdict.reason, track=track, file=file, group=group))
    return rows


def _unit(context: StageContext, draft: Draft) -> Path:
    return context.progress / _UNITS / (job_key(draft.job) if draft.job is not None else "none")


def _good(draft: Draft, result: Prepared, unit: Path) -> Good:
    drawn = _fingerprint(unit)
    if drawn is None:
        name = one_line(draft.source)
        raise StageError(f"{name}: its {FINGERPRINT_NAME} was damaged during the run")
    return Good(
        source=draft.source,
        sha256=draft.sha256,
        audio_sha256=result.audio_sha256,
        quality_score=result.quality_score,
        duration_sec=result.duration_sec,
        human_verified=draft.entry is not None and draft.entry.human_verified,
        fingerprint=drawn,
    )


def _place(context: StageContext, draft: Draft, track: str, audio: Path) -> str:
    """Put a track's files under its name; give the audio's place in the artifact."""
    file = f"{_TRACKS}/{track}{audio.suffix}"
    # A second name costs nothing; the unit stays until the stage is done, should it be killed.
    link_or_copy(audio, context.work / file)
    for kind, text in draft.sidecars:
        sidecar = context.work / _SIDECARS / f"{track}_{kind}.txt"
        sidecar.parent.mkdir(exist_ok=True)
        sidecar.write_text(text, encoding="utf-8", newline="\n")
    return file


def _row(draft: Draft, result: Prepared, *, reason: str, track: str, file: str, group: str) -> Row:
    entry = draft.entry
    judged = entry is not None or draft.job is not None
    status = "rejected" if reason else "accepted"
    return Row(
        source=draft.source,
        status="missing" if draft.missing else status,
        reason=reason,
        sha256=draft.sha256,
        track=track,
        file=file,
        audio_sha256=result.audio_sha256 if track else "",
        duration_sec=result.duration_sec if track else 0.0,
        style_ids=draft.style_ids,
        license=draft.terms.license if judged else "",
        type=draft.terms.type,
        ai_training=draft.terms.ai_training,
        artist=entry.artist if entry else "",
        attribution=entry.attribution if entry else "",
        cost_usd=entry.cost_usd if entry else 0.0,
        measurements=result.measurements,
        notes=(*draft.terms.notes, *result.notes) if track else (),
        sidecars=tuple(kind for kind, _ in draft.sidecars),
        score=result.score,
        quality_score=result.quality_score,
        score_parts=result.score_parts,
        duplicate_group=group,
        human_verified=entry is not None and entry.human_verified,
        listener_score=entry.quality_score if entry is not None else None,
        review_tags=entry.review_tags if entry is not None else (),
    )


def _tell(context: StageContext, rows: Sequence[Row]) -> None:
    refused = [row for row in rows if row.status == "rejected"]
    if refused:
        files = sum(row.status != "missing" for row in rows)
        context.warn(
            f"{len(refused)} of {files} files were refused; ledger.json says why of each, "
            f"the first is {one_line(refused[0].source)}: {refused[0].reason}"
        )
    noted = [row for row in rows if row.notes]
    if noted:
        context.warn(
            f"{len(noted)} tracks have a note in ledger.json, "
            f"the first is {one_line(noted[0].source)}: {noted[0].notes[0]}"
        )


def _facts(rows: Sequence[Row], accepted: Sequence[Row]) -> dict[str, object]:
    return {
        "tracks": len(accepted),
        "rejected": sum(row.status == "rejected" for row in rows),
        "missing": sum(row.status == "missing" for row in rows),
        "near_duplicates": sum(bool(row.duplicate_group) and not row.accepted for row in rows),
        "duration_sec": round(sum(row.duration_sec for row in accepted), 3),
        "by_style": _counted(style_id for row in accepted for style_id in row.style_ids),
        "by_license": _counted(row.license for row in accepted),
        "cost_usd": round(sum(row.cost_usd for row in accepted), 2),
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
