"""What a recipe's sources offer, before anything is decoded: a draft for every file and request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.audio.decode import DecodeError, check_file
from lofi_engine.data.ledger import Entry
from lofi_engine.data.license import SYNTHESISED, Terms, judge
from lofi_engine.data.matching import Match
from lofi_engine.data.offered import Book, Folder, open_books, open_folders
from lofi_engine.data.prepare import FileJob, Job, SynthJob
from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_file, hash_value
from lofi_engine.recipe.model import Licenses, Quality, Source, Synth
from lofi_runtime.errors import StyleError
from lofi_runtime.styles.prompts import draw, expand_style
from lofi_runtime.styles.taxonomy import Style, find_style

SYNTH_FOLDER = "synth"
_SEED_LIMIT = 2**53  # what every client of the synthesiser can write


@dataclass(frozen=True)
class Draft:
    """One file or one track to synthesise.

    Args:
        source: relative to the recipe's folder.
        stem: what a track of it is to be called.
        terms: what the licence policy says of it.
        job: what to do with it; None where nothing can be.
        sha256: of the file or of the request; "" where it cannot be read.
        refusals: why it cannot enter, as far as that is known before decoding.
        style_ids: the main one first.
        sidecars: the texts beside it, by kind.
        entry: its ledger entry.
        missing: whether it is no file at all, only an entry that means none.
    """

    source: str
    stem: str
    terms: Terms
    job: Job | None
    sha256: str
    refusals: tuple[str, ...]
    style_ids: tuple[str, ...] = ()
    sidecars: tuple[tuple[str, str], ...] = ()
    entry: Entry | None = None
    missing: bool = False


@dataclass(frozen=True)
class Policy:
    """What drafts are held against.

    Args:
        licenses: the recipe's.
        quality: the recipe's.
        styles: all there are, by id.
        publish_license: what the model is to be published under, "" for not yet known.
    """

    licenses: Licenses
    quality: Quality
    styles: Mapping[str, Style]
    publish_license: str = ""


def draft_sources(
    home: Path,
    sources: Sequence[Source],
    policy: Policy,
    seed: int,
    warn: Callable[[str], None],
) -> list[Draft]:
    """Draft everything the sources offer, in their order; files sorted by path.

    A ledger that several sources name is read once, and its entries are held against the files of
    all of them. Entries that mean no file come last, as missing.

    Args:
        home: the folder the recipe lies in.
        sources: the recipe's.
        policy: what to hold the files against.
        seed: the stage's.
        warn: told of folders that hold no files, and once for each ledger of entries that no file
            was found for.

    Raises:
        StageError: a folder or a ledger is missing or wrong, a style to synthesise is unknown, or
            no source offers anything at all.
    """
    folders = open_folders(home, sources)
    _tell_empty(sources, folders, warn)
    books = open_books(folders)
    for warning in filter(None, (book.ledger.warning() for book in books.values())):
        warn(warning)
    drafts: list[Draft] = []
    synthesised = 0
    opened = iter(folders)
    for source in sources:
        if source.synth is not None:
            drafts += draft_synth(seed, source.synth, policy, synthesised + 1)
            synthesised += source.synth.tracks
        else:
            drafts += _draft_folder(next(opened), books, policy)
    for book in books.values():
        drafts += _draft_missing(book, policy)
    return drafts


def _tell_empty(
    sources: Sequence[Source], folders: Sequence[Folder], warn: Callable[[str], None]
) -> None:
    empty = [f"'{folder.label}'" for folder in folders if not folder.files]
    if not empty:
        return
    named = f"the folder {empty[0]} holds" if len(empty) == 1 else f"{', '.join(empty)} hold"
    told = f"dataset.sources: {named} no files"
    if len(empty) == len(sources):
        raise StageError(told, hint="put WAV, FLAC, MP3, Ogg or AIFF files there")
    warn(told)


def _draft_missing(book: Book, policy: Policy) -> Iterator[Draft]:
    entries = {entry.filename: entry for entry in book.entries}
    for filename in book.ledger.unused:
        entry = entries[filename]
        yield Draft(
            source=filename,
            stem="",
            terms=judge(entry, policy.licenses, book.ledger.name, policy.publish_license),
            job=None,
            sha256="",
            refusals=(f"{book.ledger.name} has an entry for it, and no file is meant by it",),
            style_ids=entry.style_ids,
            entry=entry,
            missing=True,
        )


def _draft_folder(folder: Folder, books: Mapping[Path, Book], policy: Policy) -> Iterator[Draft]:
    ledger = books[folder.ledger].ledger if folder.ledger else None
    ledger_name = ledger.name if ledger else ""
    for file, place in folder.files:
        match = ledger.find(place) if ledger else Match()
        entry = match.entry
        terms = judge(entry, policy.licenses, ledger_name, policy.publish_license)
        style_ids = entry.style_ids if entry is not None else ()
        sha256, trouble = _hash(file.path) if not file.refusal else ("", file.refusal)
        faults = (trouble, match.refusal or terms.refusal, *_unknown(style_ids, policy))
        refusals = tuple(fault for fault in faults if fault)
        if file.refusal:  # what is no track needs no licence
            refusals = (file.refusal,)
        job = None
        if sha256:
            job = FileJob(file.path, sha256, policy.quality, wanted=not refusals)
        yield Draft(
            source=place.shown,
            stem=file.path.stem,
            terms=terms,
            job=job,
            sha256=sha256,
            refusals=refusals,
            style_ids=style_ids,
            sidecars=file.sidecars,
            entry=entry,
        )


def _unknown(style_ids: Sequence[str], policy: Policy) -> Iterator[str]:
    for style_id in style_ids:
        try:
            find_style(policy.styles, style_id)
        except StyleError as error:
            yield str(error)


def draft_synth(seed: int, synth: Synth, policy: Policy, first: int) -> Iterator[Draft]:
    """Draft tracks to synthesise, the styles in turn.

    Args:
        seed: the stage's.
        synth: how many, how long, of which styles.
        policy: the styles to write prompts from, and the limits.
        first: the number of the first track, so that several sources do not repeat each other.

    Raises:
        StageError: an unknown style.
    """
    style_ids = synth.styles or tuple(policy.styles)
    terms = judge(SYNTHESISED, policy.licenses, publish_license=policy.publish_license)
    for number in range(first, first + synth.tracks):
        style = find_style(
            policy.styles, style_ids[(number - first) % len(style_ids)], "synth.styles"
        )
        name = f"synth_{number:03d}"
        track_seed = draw(seed, "synth", number) % _SEED_LIMIT
        prompt = expand_style(style, track_seed)
        request = [prompt, track_seed, synth.duration_sec, style.id]
        yield Draft(
            source=f"{SYNTH_FOLDER}/{name}",
            stem=name,
            terms=terms,
            job=None
            if terms.refusal
            else SynthJob(prompt, track_seed, synth.duration_sec, style.id, policy.quality),
            sha256=hash_value(request),
            refusals=(terms.refusal,) if terms.refusal else (),
            style_ids=(style.id,),
            entry=SYNTHESISED,
        )


def _hash(path: Path) -> tuple[str, str]:
    """Give a file's hash, or why it cannot be read."""
    try:
        check_file(path)
        return hash_file(path), ""
    except DecodeError as error:
        return "", error.message
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"
