"""What people say of checkpoints' clips: a file of scores, read whole or refused by line.

A .csv file has a head of `checkpoint,rater,clip,score`, a .json file a list of mappings of the same
keys. `rater` may be left out. Checkpoints are called by their folders ("step-0005000") or steps
("5000"), the model without an adapter "base".
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError

LOWEST, HIGHEST = 1.0, 5.0
NEITHER = 3.0
"""What a base that nobody rated counts as: neither good nor bad."""
BASE = "base"
COLUMNS = ("checkpoint", "rater", "clip", "score")
_NEEDED = ("checkpoint", "clip", "score")


@dataclass(frozen=True)
class Rating:
    """What one person says of one clip.

    Args:
        checkpoint: the folder's name, or "base".
        rater: who; "" where nobody said.
        clip: its name; clips of one name are made from one prompt and seed.
        score: 1 to 5, higher is better.
    """

    checkpoint: str
    rater: str
    clip: str
    score: float


def read_ratings(path: Path, checkpoints: Sequence[str]) -> tuple[Rating, ...]:
    """Read a ratings file.

    Args:
        path: .csv or .json, in UTF-8.
        checkpoints: the folders' names there are.

    Raises:
        StageError: it is missing, empty or damaged, or a line names an unknown checkpoint, no clip
            or a score outside 1 to 5, or says of a clip what was said before; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        hint = "write it, or set select.weights.ratings to 0 and leave select.ratings out"
        raise StageError(f"{path}: there is no such file", hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: cannot be read: {error}", hint="save it as UTF-8") from error
    rows = _json_rows(path, text) if path.suffix.lower() == ".json" else _csv_rows(path, text)
    places: dict[tuple[str, str, str], str] = {}
    found = []
    for where, row in rows:
        rating = _rating(where, row, checkpoints)
        known = (rating.checkpoint, rating.rater, rating.clip)
        if known in places:
            who = f" by {rating.rater}" if rating.rater else ""
            raise StageError(
                f"{where}: {rating.clip} of {rating.checkpoint} is rated{who} already, "
                f"{places[known]}",
                hint="keep one, or say who else rated it",
            )
        places[known] = where.removeprefix(f"{path}: ")
        found.append(rating)
    if not found:
        raise StageError(f"{path}: no ratings", hint="add some, or leave select.ratings out")
    return tuple(found)


def shared_scores(ratings: Sequence[Rating]) -> tuple[dict[str, dict[str, float]], int]:
    """Give what everybody said of the clips that all rated checkpoints share, by checkpoint.

    Only scores that a person gave to the same clip of every rated checkpoint count: else one
    checkpoint would have the kinder listener, or the easier prompt.

    Returns:
        By checkpoint and clip, the mean over raters; and how many ratings that is. Empty and 0
        where nothing is shared.
    """
    given: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for one in ratings:
        given[one.checkpoint][one.clip, one.rater] = one.score
    common = set.intersection(*(set(scores) for scores in given.values())) if given else set()
    raters = Counter(clip for clip, _ in common)
    found: dict[str, dict[str, float]] = {}
    for checkpoint, scores in given.items():
        sums: dict[str, float] = defaultdict(float)
        for clip, rater in sorted(common):
            sums[clip] += scores[clip, rater]
        found[checkpoint] = {clip: total / raters[clip] for clip, total in sums.items()}
    return (found, len(common) * len(found)) if common else ({}, 0)


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    head: list[str] = []
    with _telling(path, csv.Error):
        for cells in reader:
            where = f"{path}: line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if not head:
                head = [cell.strip().lower() for cell in cells]
                _check_columns(f"{where}: the head", head)
            elif len(cells) != len(head):
                raise StageError(
                    f"{where}: {len(cells)} values for {len(head)} columns",
                    hint=f"the columns are {', '.join(head)}; quote a comma inside a value",
                )
            else:
                yield where, dict(zip(head, cells, strict=True))


def _json_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with _telling(path, ValueError):
        rows = json.loads(text) if text.strip() else []
    if not isinstance(rows, list):
        raise StageError(f"{path}: not a list", hint='write [{"checkpoint": ..., "clip": ...}]')
    for number, row in enumerate(rows, 1):
        where = f"{path}: entry {number}"
        if not isinstance(row, dict):
            raise StageError(f"{where}: not a mapping", hint=f"give it {', '.join(COLUMNS)}")
        _check_columns(where, list(row))
        yield where, row


@contextlib.contextmanager
def _telling(path: Path, kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind as error:
        raise StageError(f"{path}: damaged: {error}", hint="write it again") from error


def _check_columns(where: str, names: Sequence[str]) -> None:
    lacking = [name for name in _NEEDED if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if lacking or unknown or len(set(names)) < len(names):
        said = f"lacks {', '.join(lacking)}" if lacking else f"has {', '.join(unknown or names)}"
        raise StageError(f"{where} {said}", hint=f"the columns are {', '.join(COLUMNS)}")


def _rating(where: str, row: Mapping[str, Any], checkpoints: Sequence[str]) -> Rating:
    name, rater, clip = (str(row.get(key, "")).strip() for key in ("checkpoint", "rater", "clip"))
    if not clip:
        raise StageError(f"{where}: no clip is named", hint="say which clip was heard")
    return Rating(_checkpoint(where, name, checkpoints), rater, clip, _score(where, row["score"]))


def _checkpoint(where: str, name: str, checkpoints: Sequence[str]) -> str:
    if name == BASE or name in checkpoints:
        return name
    if name.isdecimal():
        steps = {int(one.removeprefix("step-")): one for one in checkpoints}
        if int(name) in steps:
            return steps[int(name)]
    raise StageError(
        f"{where}: there is no checkpoint '{name}'",
        hint=f"rate {', '.join(checkpoints)} or {BASE}",
    )


def _score(where: str, given: Any) -> float:
    try:
        score = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        score = math.nan
    if not LOWEST <= score <= HIGHEST:  # also when it is not a number
        said = str(given).strip() or "nothing"
        raise StageError(f"{where}: the score is {said}", hint="give 1 (worst) to 5 (best)")
    return score
