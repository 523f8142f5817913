"""Reads a ledger (`schemas/sources.v1.schema.json`): where each track came from, on what terms."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.data.attribution import built_credit
from lofi_engine.data.license_names import tidy_license
from lofi_engine.errors import StageError
from lofi_runtime.atomic import read_json
from lofi_runtime.errors import ManyProblemsError
from lofi_runtime.shared_data import shared_folder

SCHEMA_NAME = "sources.v1.schema.json"
_SHOWN_FAULTS = 20


class LedgerError(ManyProblemsError, StageError):
    """A ledger is missing or wrong; one line for each fault."""


@dataclass(frozen=True)
class Entry:
    """One track's entry.

    Args:
        filename: a path or a bare name, with forward slashes (see `lofi_engine.data.matching`).
        type: how it was acquired, e.g. "commissioned".
        license: the terms as written.
        ai_training: whether training is allowed; None where the entry does not say.
        style_ids: the main one first.
        artist: who made it, "" where not said.
        attribution: the credit line the licence asks for, "" for none; built from the entry where
            a CC BY licence asks for one and the entry gives none.
        cost_usd: what it cost.
        credit_built: whether `attribution` was built.
        ai_training_evidence: where the right to train can be read.
        provider: the shop, library or person it came through.
        title: what it is called.
        url: where it was found.
        date_acquired: as "2025-01-15".
        quality_score: a listener's score, 0 to 100; None without.
        human_verified: whether a person has listened to it.
        review_accepted: what that person decided; None where nobody did.
        review_tags: that person's tags.
        review_date: when, as "2025-01-15".
    """

    filename: str
    type: str
    license: str
    ai_training: bool | None
    style_ids: tuple[str, ...]
    artist: str = ""
    attribution: str = ""
    cost_usd: float = 0.0
    credit_built: bool = False
    ai_training_evidence: str = ""
    provider: str = ""
    title: str = ""
    url: str = ""
    date_acquired: str = ""
    quality_score: float | None = None
    human_verified: bool = False
    review_accepted: bool | None = None
    review_tags: tuple[str, ...] = ()
    review_date: str = ""


def read_ledger(path: Path) -> tuple[Entry, ...]:
    """Read and check a ledger.

    Raises:
        LedgerError: it is not there, not JSON, or does not fit the schema.
    """
    from jsonschema import Draft202012Validator

    name = path.name
    content = _content(path)
    schema = read_json(shared_folder("schemas") / SCHEMA_NAME)
    faults = sorted(Draft202012Validator(schema).iter_errors(content), key=lambda e: list(e.path))
    lines = [f"ledger {name}: {_where(content, fault.path)}{fault.message}" for fault in faults]
    lines += [f"ledger {name}: {again}" for again in _repeated(content)] if not lines else []
    if lines:
        more = [f"ledger {name}: and {len(lines) - _SHOWN_FAULTS} more"]
        raise LedgerError(lines[:_SHOWN_FAULTS] + (more if len(lines) > _SHOWN_FAULTS else []))
    return tuple(_entry(item) for item in content)


def _content(path: Path) -> Any:
    name = path.name
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        json.dumps(content, ensure_ascii=False).encode()
    except OSError as error:
        told = f"ledger {name}: cannot be read: {error.strerror} - looked for it at {path}"
        raise LedgerError([told]) from error
    except UnicodeDecodeError as error:
        raise LedgerError([f"ledger {name}: not UTF-8 text - save {path} as UTF-8"]) from error
    except UnicodeEncodeError as error:
        fault = "holds half of a surrogate pair (\\ud800 to \\udfff), which is no character"
        raise LedgerError([f"ledger {name}: {fault} - mend {path}"]) from error
    except json.JSONDecodeError as error:
        what, place = error.msg, f"ledger {name}:{error.lineno}:{error.colno}"
        if "BOM" in what:
            told = f"{place}: begins with a byte order mark - save {path} as UTF-8 without one"
        elif not error.doc.strip():
            told = f"{place}: not JSON: empty - write [] into {path}"
        else:
            told = f"{place}: not JSON: {what} - mend {path}"
        raise LedgerError([told]) from error
    except (ValueError, RecursionError) as error:
        raise LedgerError([f"ledger {name}: not JSON: {error} - mend {path}"]) from error
    return content


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def _entry(item: Mapping[str, Any]) -> Entry:
    source, review = item["source"], item.get("review", {})
    given = _one_line(source.get("attribution", ""))
    built = "" if given else _credit(source)
    return Entry(
        filename=item["filename"].removeprefix("./"),
        type=source["type"],
        license=source["license"],
        ai_training=source.get("ai_training"),
        style_ids=tuple(item.get("style_ids", ())),
        artist=source.get("artist", ""),
        attribution=given or built,
        cost_usd=float(source.get("cost", 0.0)),
        credit_built=bool(built),
        ai_training_evidence=source.get("ai_training_evidence", "").strip(),
        provider=source.get("provider", ""),
        title=source.get("title", ""),
        url=source.get("url", ""),
        date_acquired=source.get("date_acquired", ""),
        quality_score=item.get("quality_score"),
        human_verified=item.get("human_verified", False),
        review_accepted=review.get("accepted"),
        review_tags=tuple(review.get("tags", ())),
        review_date=review.get("date", ""),
    )


def _credit(source: Mapping[str, Any]) -> str:
    words = {key: _one_line(source.get(key, "")) for key in ("artist", "title", "url")}
    terms = _one_line(source.get("license_url", ""))
    return built_credit(tidy_license(source["license"]), license_url=terms, **words)


def _one_line(text: str) -> str:
    """A credit stands in a list on the model card, where a line break would end it."""
    return " ".join(text.split())


def _where(content: Any, path: Iterable[str | int]) -> str:
    """Name a place by the entry's file rather than by its number, where that can be had."""
    parts = list(path)
    if not parts or not isinstance(content, list):
        return ""
    entry = content[int(parts[0])]
    filename = entry.get("filename") if isinstance(entry, dict) else None
    named = filename if isinstance(filename, str) else f"entry {int(parts[0]) + 1}"
    keys = ".".join(str(part) for part in parts[1:])
    return f"{named}: {keys}: " if keys else f"{named}: "


def _repeated(content: Sequence[Mapping[str, Any]]) -> list[str]:
    names = Counter(item["filename"].removeprefix("./") for item in content)
    return [f"{name}: {count} entries for one file" for name, count in names.items() if count > 1]
