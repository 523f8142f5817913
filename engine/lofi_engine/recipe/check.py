"""Rules between keys, which a schema cannot say.

Each check sees the resolved values and answers with problems; it looks only at values of the right
kind, since it runs beside the schema's checks and not after them.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from lofi_engine.models.ace_step_v1.builtin import DEFINITIONS
from lofi_engine.quantization.methods import (
    ALL_METHODS,
    ALWAYS_FP16,
    BLOCK_METHODS,
    CALIBRATED,
    METHODS_OF,
)
from lofi_engine.recipe.document import Document
from lofi_engine.recipe.problems import Path, Problem, did_you_mean, listed, quoted

BUILTIN_BASES = tuple(DEFINITIONS)
"""Bases that come with lofi-recipe."""

BUILTIN_EMBEDDINGS = ("lofi-sound-v1",)
"""Embeddings that come with lofi-recipe, for `measure.fad.embedding`."""

SELECT_TERMS = ("held_out_loss", "fad", "prompt", "ratings")
"""What a checkpoint's score is made of, as `select.weights` names it."""

TAKEN_NAMES = {"lora": "the adapter's own folder", "float32": "the reference of every measure"}
"""Names no variant may have, and what has them."""

_CC0 = frozenset({"cc0", "cc0-1.0"})
_HUB = re.compile(r"hf:[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_HUB_PINNED = re.compile(_HUB.pattern + r"(@[A-Za-z0-9][A-Za-z0-9._-]*)?")
_HUB_FILE = re.compile(_HUB.pattern + r"(/[^/]+)+")
_Kind = TypeVar("_Kind")
_Values = Mapping[str, Any]
_Check = Callable[[Document, _Values], Iterator[Problem]]


def cross_problems(document: Document, resolved: _Values) -> list[Problem]:
    """List what is wrong between keys that may each be right."""
    return [problem for check in CHECKS for problem in check(document, resolved)]


def _get(values: _Values, path: Path, kind: type[_Kind]) -> _Kind | None:
    """Return the value at `path` if it is of that kind (a bool is no number), else None."""
    found: Any = values
    for part in path:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return None
    if isinstance(found, bool) and kind is not bool:
        return None
    if kind is float and isinstance(found, int):
        found = float(found) if abs(found) < 2**53 else None
    return found if isinstance(found, kind) else None


def _locations(document: Document, values: _Values) -> Iterator[Problem]:
    """Check that `hf:` and `builtin:` locations are whole, and that folders need no shell."""
    places: tuple[tuple[Path, re.Pattern[str], str], ...] = (
        (("base", "model"), _HUB, "hf:owner/name"),
        (("base", "lyric_vocabulary"), _HUB_FILE, "hf:owner/name/FILE"),
        (("measure", "fad", "embedding"), _HUB_PINNED, "hf:owner/name"),
        (("measure", "clap", "model"), _HUB_PINNED, "hf:owner/name"),
        (("select", "clap"), _HUB_PINNED, "hf:owner/name"),
        (("publish", "to"), _HUB, "hf:owner/name"),
    )
    for path, whole, form in places:
        place = _get(values, path, str)
        if place is None:
            continue
        if place.startswith("hf:") and not whole.fullmatch(place):
            yield document.problem(path, f"{quoted(place)} is not a place on the Hub; write {form}")
        elif "://" in place:
            yield document.problem(
                path, f"{quoted(place)} is an address; write {form}, or a folder"
            )
        elif place.startswith("builtin:") and path[-1] != "model":
            yield document.problem(path, f"{quoted(place)} is only a base; write {form}, or a path")
        elif place.startswith("builtin:") and place not in BUILTIN_BASES:
            hint = did_you_mean(place, BUILTIN_BASES)
            allowed = listed(BUILTIN_BASES)
            yield document.problem(path, f"{quoted(place)} does not exist ({allowed}){hint}")


def _embedding(document: Document, values: _Values) -> Iterator[Problem]:
    """Check that what is called like a built-in embedding is one; anything else is a folder."""
    path: Path = ("measure", "fad", "embedding")
    name = _get(values, path, str)
    if name and name.startswith("lofi-sound") and name not in BUILTIN_EMBEDDINGS:
        hint = did_you_mean(name, BUILTIN_EMBEDDINGS)
        allowed = listed(BUILTIN_EMBEDDINGS)
        yield document.problem(path, f"{quoted(name)} does not exist ({allowed}){hint}")


def _home_signs(document: Document, values: _Values) -> Iterator[Problem]:
    sources = _get(values, ("dataset", "sources"), list) or []
    paths: list[Path] = [("base", "model"), ("base", "lyric_vocabulary"), ("dataset", "styles")]
    paths += [("measure", "fad", "embedding"), ("measure", "clap", "model"), ("publish", "to")]
    paths += [("select", "clap"), ("select", "ratings")]
    paths += [
        ("dataset", "sources", at, key) for at in range(len(sources)) for key in ("path", "ledger")
    ]
    for path in paths:
        place = _get(values, path, str)
        if place is not None and re.match(r"~|\$", place):
            message = f"{quoted(place)}: '~' and '$' mean nothing in a recipe; write the path out"
            yield document.problem(path, message)


def _publish_outside_runs(document: Document, values: _Values) -> Iterator[Problem]:
    path = ("publish", "to")
    place = _get(values, path, str)
    if place is None or place.startswith("hf:"):
        return
    if _lies_in(_absolute(document, place), _absolute(document, "runs")):
        message = f"{quoted(place)} lies inside runs/, which `lofi-recipe clean` empties"
        yield document.problem(path, f"{message}; choose another folder")


def _tracks_apart(document: Document, values: _Values) -> Iterator[Problem]:
    """Check that no source shares a folder with what runs write: they would learn from it."""
    written = {"runs": "runs/, where every stage writes"}
    to = _get(values, ("publish", "to"), str)
    if to is not None and not to.startswith("hf:"):
        written[to] = f"publish.to ({quoted(to)}), where the variants go"
    for at in range(len(_get(values, ("dataset", "sources"), list) or [])):
        path: Path = ("dataset", "sources", at, "path")
        place = _get(values, path, str)
        if not place:
            continue
        folder = _absolute(document, place)
        for output, meaning in written.items():
            other = _absolute(document, output)
            if folder == other:
                how = "is"
            elif _lies_in(other, folder):
                how = "contains"
            elif _lies_in(folder, other):
                how = "lies in"
            else:
                continue
            message = f"{quoted(place)} {how} {meaning}; keep the tracks in a folder of their own"
            yield document.problem(path, message)
            break


def _absolute(document: Document, place: str) -> str:
    """Give a path of the recipe in full; lexical, since checking a recipe reads no other file."""
    home = os.path.dirname(os.path.abspath(document.file))  # noqa: PTH100, PTH120
    return os.path.normpath(os.path.join(home, place))  # noqa: PTH118


def _lies_in(place: str, folder: str) -> bool:
    return f"{place}/".startswith(f"{folder.rstrip('/')}/")


def _sources(document: Document, values: _Values) -> Iterator[Problem]:
    """Check that ledgers go with folders, that the policy admits what is made, and no repeats."""
    strict = _get(values, ("dataset", "licenses", "require_ai_training"), bool)
    allowed = _get(values, ("dataset", "licenses", "allow"), list)
    seen: dict[str, int] = {}
    for at, source in enumerate(_get(values, ("dataset", "sources"), list) or []):
        path: Path = ("dataset", "sources", at)
        if not isinstance(source, dict) or {"path", "synth"} <= source.keys():
            continue
        if "synth" in source and "ledger" in source:
            message = "belongs to a folder; the synthesiser's tracks need no ledger, remove it"
            yield document.problem((*path, "ledger"), message, at_key=True)
        if "path" in source and "ledger" not in source and strict:
            message = (
                "is missing (licenses.require_ai_training is true, so every track needs a row)"
            )
            yield document.problem((*path, "ledger"), message)
        if "synth" in source and allowed is not None and not _CC0.intersection(allowed):
            message = "its tracks are cc0 and would be refused; add cc0 to dataset.licenses.allow"
            yield document.problem((*path, "synth"), message, at_key=True)
        folder = _get(source, ("path",), str)
        if folder is not None:
            first = seen.setdefault(posixpath.normpath(folder), at)
            if first != at:
                message = f"{quoted(folder)} is sources[{first}] already; keep one"
                yield document.problem((*path, "path"), message)


def _durations(document: Document, values: _Values) -> Iterator[Problem]:
    quality: Path = ("dataset", "quality")
    shortest = _get(values, (*quality, "min_duration_sec"), float)
    longest = _get(values, (*quality, "max_duration_sec"), float)
    if shortest is None or longest is None:
        return
    if shortest > longest:
        key = (
            "min_duration_sec"
            if document.node((*quality, "min_duration_sec"))
            else "max_duration_sec"
        )
        message = f"min_duration_sec ({shortest:g}) is more than max_duration_sec ({longest:g})"
        yield document.problem((*quality, key), message)
        return
    for at in range(len(_get(values, ("dataset", "sources"), list) or [])):
        path = ("dataset", "sources", at, "synth", "duration_sec")
        made = _get(values, path, float)
        if made is not None and not shortest <= made <= longest:
            message = (
                f"{made:g} would be refused: dataset.quality takes {shortest:g} to {longest:g} s"
            )
            yield document.problem(path, message)


def _warmup(document: Document, values: _Values) -> Iterator[Problem]:
    warmup = _get(values, ("training", "warmup_steps"), int)
    steps = _get(values, ("training", "steps"), int)
    if warmup is not None and steps is not None and warmup > steps:
        message = f"{warmup} is more than training.steps ({steps})"
        yield document.problem(("training", "warmup_steps"), message)


def _select(document: Document, values: _Values) -> Iterator[Problem]:
    """Check that something counts, that what counts has what it needs, and that nothing is idle."""
    path: Path = ("select", "weights")
    weights = {name: _get(values, (*path, name), float) for name in SELECT_TERMS}
    counting = {name for name, weight in weights.items() if weight}
    if set(weights.values()) == {0.0}:
        message = f"all are 0, so nothing can be chosen; raise {listed(SELECT_TERMS)}"
        yield document.problem(path, message)
    for term, key in (("prompt", "clap"), ("ratings", "ratings")):
        if term in counting and _get(values, ("select", key), str) is None:
            message = f"counts, but select.{key} is missing; add it or set this to 0"
            yield document.problem((*path, term), message)
    if _get(values, ("select", "clap"), str) is not None and not counting & {"fad", "prompt"}:
        message = (
            "listens to no clip, for none is rendered while select.weights.prompt and "
            "select.weights.fad are 0; raise one or remove it"
        )
        yield document.problem(("select", "clap"), message, at_key=True)
    if "fad" in counting and _get(values, ("dataset", "holdout_share"), float) == 0:
        message = "needs held-out tracks; raise dataset.holdout_share or set this to 0"
        yield document.problem((*path, "fad"), message)


def _variants(document: Document, values: _Values) -> Iterator[Problem]:
    """Check each variant's keys against its width; what would do nothing is refused."""
    variants = document.value().get("variants")
    for name, variant in variants.items() if isinstance(variants, dict) else ():
        weights = _get(variant, ("weights",), str) if isinstance(variant, dict) else None
        path: Path = ("variants", name)
        if name in TAKEN_NAMES:
            message = f"is the name of {TAKEN_NAMES[name]}; choose another"
            yield document.problem(path, message, at_key=True)
        if weights == "fp16":
            for key in ("method", "block_size", "keep_fp16"):
                if key in variant:
                    message = "is only for int8 and int4; remove it"
                    yield document.problem((*path, key), message, at_key=True)
        elif weights is not None and weights in METHODS_OF:
            method = _get(variant, ("method",), str)
            own = METHODS_OF[weights]
            if method in ALL_METHODS and method not in own:
                message = f"{quoted(method)} does not make {weights}; use {listed(own)}"
                yield document.problem((*path, "method"), message)
            elif weights == "int8" and method in BLOCK_METHODS and "max_bytes" not in variant:
                message = (
                    f"{quoted(method)} is for the weights an int8 variant lowers to 4 bits to keep "
                    "its max_bytes; add max_bytes or remove it"
                )
                yield document.problem((*path, "method"), message)
            asks = method in CALIBRATED or "max_bytes" in variant
            if asks and _get(values, ("calibration", "prompts"), int) == 1:
                message = f"1 cannot calibrate variant {name}: a vocal style is needed too; ask 2"
                yield document.problem(("calibration", "prompts"), message)
            kept = _get(variant, ("keep_fp16",), list)
            lost = [part for part in ALWAYS_FP16 if kept is not None and part not in kept]
            if lost:
                message = f"lacks {' and '.join(lost)}, whose errors are heard at once; add it"
                yield document.problem((*path, "keep_fp16"), message)


def _gates(document: Document, values: _Values) -> Iterator[Problem]:
    """Check that every bound is for a variant that is made."""
    names = list(_get(values, ("variants",), dict) or {})
    for gate in (("max_distance",), ("fad", "max_increase"), ("clap", "max_drop")):
        path: Path = ("measure", *gate)
        for name in _get(values, path, dict) or {}:
            if names and name not in names:
                hint = did_you_mean(name, names) or f"; variants: {', '.join(names)}"
                yield document.problem(
                    (*path, name), f"no variant has this name{hint}", at_key=True
                )


CHECKS: tuple[_Check, ...] = (
    _locations,
    _embedding,
    _home_signs,
    _publish_outside_runs,
    _tracks_apart,
    _sources,
    _durations,
    _warmup,
    _select,
    _variants,
    _gates,
)
