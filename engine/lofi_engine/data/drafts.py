"""What a recipe's sources offer, before anything is decoded: a draft for every file and request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lofi_engine.audio.decode import DecodeError, check_file
from lofi_engine.data.folder import walk
from lofi_engine.data.ledger import Entry, Ledger, read_ledger
from lofi_engine.data.license import SYNTHESISED, Terms, judge
from lofi_engine.data.prepare import FileJob, Job, SynthJob
from lofi_engine.hashing import hash_file, hash_value
from lofi_engine.recipe.model import Licenses, Quality, Source, Synth
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


@dataclass(frozen=True)
class Policy:
    """What drafts are held against."""

    licenses: Licenses
    quality: Quality
    styles: Mapping[str, Style]


def draft_folder(
    home: Path, source: Source, policy: Policy, warn: Callable[[str], None]
) -> Iterator[Draft]:
    """Draft every file of a folder source, sorted by path.

    Args:
        home: the folder the recipe lies in.
        source: the folder and its ledger.
        policy: what to hold the files against.
        warn: told of ledger entries that no file was found for.

    Raises:
        StageError: the folder or its ledger is missing or wrong, or names an unknown style.
    """
    path = Path(source.path or ".")
    # An absolute path would differ on every machine and say who made the model.
    label = path.name if path.is_absolute() else path.as_posix()
    ignored: frozenset[Path] = frozenset()
    entries: tuple[Entry, ...] = ()
    ledger_name = ""
    if source.ledger is not None:
        ledger_path = home / source.ledger
        ledger_name, ignored = ledger_path.name, frozenset({ledger_path.resolve()})
        entries = read_ledger(ledger_path)
    found = walk(home / path, label, ignored)
    ledger = Ledger(ledger_name, entries, (file.relative for file in found))
    for file in found:
        entry = ledger.find(file.relative)
        terms = judge(entry, policy.licenses, ledger_name)
        style_ids = entry.style_ids if entry is not None else ()
        for style_id in style_ids:
            find_style(policy.styles, style_id, f"{ledger_name}: {file.relative}")
        sha256, trouble = _hash(file.path) if not file.refusal else ("", file.refusal)
        refusals = tuple(reason for reason in (trouble, terms.refusal) if reason)
        if file.refusal:  # what is no track needs no licence
            refusals = (file.refusal,)
        job = None
        if sha256:
            job = FileJob(file.path, sha256, policy.quality, wanted=not refusals)
        yield Draft(
            source=PurePosixPath(label, file.relative).as_posix(),
            stem=file.path.stem,
            terms=terms,
            job=job,
            sha256=sha256,
            refusals=refusals,
            style_ids=style_ids,
            sidecars=file.sidecars,
            entry=entry,
        )
    for name in ledger.unused():
        warn(f"{ledger_name}: no file in '{label}' for the entry '{name}'")


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
    terms = judge(SYNTHESISED, policy.licenses)
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
