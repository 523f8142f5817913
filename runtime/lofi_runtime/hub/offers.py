"""What a repository offers, and which of it is meant."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lofi_runtime.bundle import ADAPTER_FILES, MANIFEST_NAME
from lofi_runtime.choosing import AUTO, PRECISIONS
from lofi_runtime.hub.errors import DownloadError
from lofi_runtime.hub.repository import Repository

INDEX_NAME = "index.json"
INDEX_FORMAT = 1
MAX_TEXT_BYTES = 1 << 24
"""Of an index or a manifest; a manifest holds its recipe and is far smaller."""
USUAL_MODEL = "ace-step"
"""In the name of the model that is taken where none is named and there are several."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_KINDS = {"variant": str, "version": str, "license": str, "size_bytes": int}


@dataclass(frozen=True)
class Offer:
    """One bundle in a repository.

    Args:
        name: of the bundle, which is its folder's when it is installed.
        precision: its variant.
        version: the model's release.
        license: SPDX identifier.
        size_bytes: of its files.
        folder: where in the repository it lies: "" or its name and a slash.
        manifest_sha256: of its manifest, or "" where the index does not say.
    """

    name: str
    precision: str
    version: str
    license: str
    size_bytes: int
    folder: str = ""
    manifest_sha256: str = ""

    @property
    def model(self) -> str:
        """The bundle's name without its precision."""
        return self.name.removesuffix(f"-{self.precision}")


def read_offers(repository: Repository) -> list[Offer]:
    """Return what a repository offers, by name.

    Raises:
        DownloadError: it cannot be reached, or is not one of published bundles; says what it is.
    """
    files = repository.files()
    if INDEX_NAME in files:
        return _indexed(repository)
    if MANIFEST_NAME in files:
        return [_single(repository)]
    raise DownloadError(f"{repository.label}: {_what_is_there(files)}", hint=_what_to_do(files))


def choose_offer(
    offers: Sequence[Offer], label: str, name: str = "", precision: str = AUTO
) -> Offer:
    """Return the bundle that is meant.

    Args:
        offers: of one repository.
        label: the repository's.
        name: a bundle's or a model's; "" where the only model is meant, or the usual one.
        precision: "auto" takes the first of `PRECISIONS` that is there.

    Raises:
        DownloadError: there is no such one; names those there are, and the nearest.
    """
    named = [offer for offer in offers if offer.name == name]
    fitting = named or [offer for offer in offers if offer.model == (name or _usual(offers, label))]
    if not fitting:
        names = [offer.name for offer in offers]
        near = difflib.get_close_matches(name, {*names, *(offer.model for offer in offers)}, n=1)
        raise DownloadError(
            f"{label}: there is no bundle or model {name!a}",
            hint=f"did you mean '{near[0]}'?" if near else f"there are {', '.join(names)}",
        )
    if precision != AUTO:
        here = ", ".join(offer.precision for offer in fitting)
        fitting = [offer for offer in fitting if offer.precision == precision]
        if not fitting:
            what = name or "the model"
            raise DownloadError(f"{label}: {what} has no precision {precision!a}, only {here}")
    return min(fitting, key=_rank)


def _rank(offer: Offer) -> int:
    return PRECISIONS.index(offer.precision) if offer.precision in PRECISIONS else len(PRECISIONS)


def _usual(offers: Sequence[Offer], label: str) -> str:
    models = sorted({offer.model for offer in offers})
    usual = [model for model in models if USUAL_MODEL in model]
    if len(models) == 1 or len(usual) == 1:
        return (usual or models)[0]
    raise DownloadError(f"{label}: there are several models", hint=f"name one: {', '.join(models)}")


def _indexed(repository: Repository) -> list[Offer]:
    where = f"{repository.label}: {INDEX_NAME}"
    index = _parsed(repository, INDEX_NAME)
    if index.get("format") != INDEX_FORMAT:
        raise DownloadError(
            f"{where}: format {index.get('format')!a}, this version reads {INDEX_FORMAT}",
            hint="upgrade lofi-recipe",
        )
    bundles, hashes = index.get("bundles", {}), index.get("files", {})
    if not isinstance(bundles, dict) or not isinstance(hashes, dict):
        raise DownloadError(f"{where}: 'bundles' and 'files' must be maps")
    if not bundles:
        raise DownloadError(f"{where}: no bundle is published there")
    return [
        _offer(where, name, entry, str(hashes.get(f"{name}/{MANIFEST_NAME}", "")))
        for name, entry in sorted(bundles.items())
    ]


def _offer(where: str, name: str, entry: Any, manifest_sha256: str) -> Offer:
    if not _NAME.fullmatch(name):
        raise DownloadError(f"{where}: {name!a} is not a bundle's name")
    if not isinstance(entry, Mapping) or any(
        not isinstance(entry.get(key), kind) for key, kind in _KINDS.items()
    ):
        raise DownloadError(f"{where}: {name} must state {', '.join(_KINDS)}")
    return Offer(
        name=name,
        precision=entry["variant"],
        version=entry["version"],
        license=entry["license"],
        size_bytes=entry["size_bytes"],
        folder=f"{name}/",
        manifest_sha256=manifest_sha256,
    )


def _single(repository: Repository) -> Offer:
    """Describe the bundle that a repository itself is; pulling checks its manifest fully."""
    record = _parsed(repository, MANIFEST_NAME)
    name, files = record.get("name"), record.get("files")
    sizes = [
        file.get("size_bytes", 0) if isinstance(file, dict) else 0
        for file in (files.values() if isinstance(files, dict) else ())
    ]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DownloadError(f"{repository.label}: {MANIFEST_NAME}: no bundle's name: {name!a}")
    return Offer(
        name=name,
        precision=str(record.get("variant", "")),
        version=str(record.get("version", "")),
        license=str(record.get("license", "")),
        size_bytes=sum(size for size in sizes if isinstance(size, int)),
    )


def _parsed(repository: Repository, file: str) -> dict[str, Any]:
    try:
        record = json.loads(repository.read(file, MAX_TEXT_BYTES))
    except (ValueError, RecursionError) as error:
        raise DownloadError(f"{repository.label}: {file}: not readable JSON ({error})") from error
    if not isinstance(record, dict):
        raise DownloadError(f"{repository.label}: {file}: not a map")
    return record


def _what_is_there(files: Collection[str]) -> str:
    adapters = [file for file in ADAPTER_FILES if file in files]
    graphs = sorted(file for file in files if file.endswith(".onnx"))
    if adapters and not graphs:
        return (
            f"a bare adapter ({adapters[0]}), which cannot be played: adapters are merged into"
            " their base before it is quantized"
        )
    if graphs:
        return f"has graphs ({graphs[0]}) but no {INDEX_NAME}, so nothing can be verified"
    return f"has no {INDEX_NAME}: no bundles were published there"


def _what_to_do(files: Collection[str]) -> str:
    graphs = any(file.endswith(".onnx") for file in files)
    if not graphs and any(file in files for file in ADAPTER_FILES):
        return "make its bundles: lofi-recipe run RECIPE"
    if graphs:
        return "download the folder by hand and play it unverified: lofi-runtime serve --bundle"
    return "name another source with --source"
