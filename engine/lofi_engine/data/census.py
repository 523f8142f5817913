"""Every track of a recipe as one line to count: of the ledgers before a run, curated after it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.audio.quiet import quiet_stderr
from lofi_engine.data.ledger import Entry
from lofi_engine.data.license import SYNTHESISED, judge
from lofi_engine.data.license_names import tidy_license
from lofi_engine.data.offered import Offer, Offered, offer
from lofi_engine.data.rows import Row
from lofi_engine.recipe.model import Recipe, Source
from lofi_runtime.errors import StyleError
from lofi_runtime.styles.taxonomy import Style, find_style

LEDGER, CURATED = "ledger", "curated"


@dataclass(frozen=True)
class Counted:
    """One track.

    Args:
        source: the file, as reports name it.
        refusal: why it does not enter, "" where it does.
        type: how it was acquired, "" where no ledger says.
        license: tidied, "unknown" where no ledger says.
        style_ids: the main one first.
        duration_sec: None where the file does not say.
        cost_usd: what it cost.
        attribution: the credit line.
        credit_built: whether that line was built from artist, title, address and licence.
        human_verified: whether a person has listened to it.
        listener_score: that person's, 0 to 100; None without.
        notes: what should be mended though it refuses nothing.
    """

    source: str
    refusal: str
    type: str
    license: str
    style_ids: tuple[str, ...]
    duration_sec: float | None
    cost_usd: float = 0.0
    attribution: str = ""
    credit_built: bool = False
    human_verified: bool = False
    listener_score: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Census:
    """All tracks.

    Args:
        basis: `LEDGER` or `CURATED`.
        tracks: in the sources' order.
        missing: the ledgers' `filename`s that mean no file.
        paid_usd: what the ledgers add up to, with refused and missing tracks.
        absent: folders of the recipe that are not there.
    """

    basis: str
    tracks: tuple[Counted, ...]
    missing: tuple[str, ...]
    paid_usd: float
    absent: tuple[str, ...] = ()

    @property
    def accepted(self) -> tuple[Counted, ...]:
        """The tracks that enter."""
        return tuple(track for track in self.tracks if not track.refusal)


def census_of_ledgers(recipe: Recipe, styles: Mapping[str, Style]) -> Census:
    """Count what a recipe's folders and ledgers offer; the sound itself is not looked at.

    Raises:
        StageError: a folder cannot be read, or a ledger is missing or wrong.
    """
    found = offer(recipe.home, recipe.dataset.sources)
    entries = [entry for read in found.entries.values() for entry in read]
    return Census(
        basis=LEDGER,
        tracks=(*_files(recipe, found, styles), *_synthesised(recipe.dataset.sources, styles)),
        missing=tuple(name for names in found.unused.values() for name in names),
        paid_usd=sum(entry.cost_usd for entry in entries),
        absent=found.absent,
    )


def census_of_rows(rows: Sequence[Row], entries: Sequence[Entry] = ()) -> Census:
    """Count a curate artifact's rows.

    Args:
        rows: of the artifact.
        entries: of the recipe's ledgers, to tell which credits were built.
    """
    built = {entry.attribution for entry in entries if entry.credit_built}
    tracks = tuple(
        Counted(
            source=row.source,
            refusal="" if row.accepted else row.reason,
            type=row.type,
            license=row.license or "unknown",
            style_ids=row.style_ids,
            duration_sec=row.duration_sec if row.accepted else None,
            cost_usd=row.cost_usd,
            attribution=row.attribution,
            credit_built=row.attribution in built,
            human_verified=row.human_verified,
            listener_score=row.listener_score,
            notes=row.notes,
        )
        for row in rows
        if row.status != "missing"
    )
    missing = tuple(row.source for row in rows if row.status == "missing")
    return Census(CURATED, tracks, missing, sum(row.cost_usd for row in rows))


def _files(recipe: Recipe, found: Offer, styles: Mapping[str, Style]) -> Iterator[Counted]:
    longest = recipe.dataset.quality.max_duration_sec
    for offered in found.files:
        entry = offered.match.entry
        refusal, notes = _verdict(recipe, offered, styles)
        duration_sec = None if refusal else _duration_sec(offered.place.path)
        yield Counted(
            source=offered.place.shown,
            refusal=refusal,
            type=entry.type if entry else "",
            license=tidy_license(entry.license) if entry else "unknown",
            style_ids=entry.style_ids if entry else (),
            duration_sec=None if duration_sec is None else min(duration_sec, longest),
            cost_usd=entry.cost_usd if entry else 0.0,
            attribution=entry.attribution if entry else "",
            credit_built=entry.credit_built if entry else False,
            human_verified=entry.human_verified if entry else False,
            listener_score=entry.quality_score if entry else None,
            notes=notes,
        )


def _verdict(
    recipe: Recipe, offered: Offered, styles: Mapping[str, Style]
) -> tuple[str, tuple[str, ...]]:
    """Give why a file cannot enter, in curate's words, and what should be mended anyway."""
    if offered.file.refusal:  # what is no track needs no licence
        return offered.file.refusal, ()
    entry = offered.match.entry
    ledger_name = offered.ledger.name if offered.ledger else ""
    terms = judge(entry, recipe.dataset.licenses, ledger_name, recipe.publish.license)
    reasons = [offered.match.refusal or terms.refusal]
    for style_id in entry.style_ids if entry else ():
        try:
            find_style(styles, style_id)
        except StyleError as error:
            reasons.append(str(error))
    return "; ".join(filter(None, reasons)), terms.notes


def _synthesised(sources: Sequence[Source], styles: Mapping[str, Style]) -> Iterator[Counted]:
    for source in sources:
        if source.synth is None:
            continue
        style_ids = source.synth.styles or tuple(styles)
        for number in range(source.synth.tracks):
            yield Counted(
                source="synth",
                refusal="",
                type=SYNTHESISED.type,
                license=SYNTHESISED.license,
                style_ids=(style_ids[number % len(style_ids)],),
                duration_sec=source.synth.duration_sec,
            )


def _duration_sec(path: Path) -> float | None:
    """Read a file's length from its header; None where it does not say or cannot be read."""
    import soundfile

    try:
        with quiet_stderr():
            found = soundfile.info(os.fsencode(path))
    except (soundfile.SoundFileError, OSError, ValueError):
        return None
    return float(found.frames / found.samplerate) if found.samplerate else None
