"""Writes the page of a measurement into a folder that a browser opens without a network."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.document import Measured
from lofi_engine.metrics.page.embedding_map import draw_map
from lofi_engine.metrics.page.rendering import GENERATOR, write_html
from lofi_engine.metrics.page.sounds import choose, place_clips
from lofi_engine.metrics.protocol import Embedding, Report
from lofi_runtime.atomic import write_json, write_text

PAGE_NAME, DOCUMENT_NAME = "index.html", "measure.json"


def check_place(folder: Path, measured: Sequence[Path]) -> None:
    """Refuse a folder that is somebody else's, or that would be measured the next time.

    Args:
        folder: where the page goes; missing, empty, or with an older page of ours.
        measured: the folders of audio.

    Raises:
        MetricError: it is a file, holds other files, lies in a folder that is measured, or cannot
            be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise MetricError(f"{folder}: is a file", hint="name a folder for the page")
    for one in measured:
        if one.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise MetricError(
                f"{folder}: lies inside {one}, which is measured",
                hint="its sounds would be measured the next time: name a folder outside",
            )
    try:
        page = folder / PAGE_NAME
        ours = page.is_file() and GENERATOR in page.read_text(encoding="utf-8", errors="replace")
        if not ours and folder.is_dir() and any(folder.iterdir()):
            raise MetricError(
                f"{folder}: holds other files and will not be written to",
                hint="name a new folder, or one with an older page of lofi-recipe measure",
            )
        _check_writable(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_report(
    folder: Path,
    document: Mapping[str, Any],
    measured: Sequence[Measured],
    embedding: Embedding,
    most_clips: int,
    report: Report,
) -> Path:
    """Write the page, the sounds it plays and the document it is made of.

    Args:
        folder: checked by `check_place`; made where it is missing.
        document: of `as_document`.
        measured: the sets, as in the document.
        embedding: of the map.
        most_clips: how many rows of clips.
        report: called after every clip.

    Returns:
        The page, `folder/index.html`.

    Raises:
        MetricError: the folder cannot be written to.
    """
    drawn = draw_map(measured, embedding, report)
    order = choose(measured, document, most_clips)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows = place_clips(folder, measured, document, order, report)
        write_json(folder / DOCUMENT_NAME, document)
        page = folder / PAGE_NAME
        write_text(page, write_html(document, drawn, rows, order.said))
    except OSError as error:
        raise _unwritable(folder, error) from error
    return page


def _check_writable(folder: Path) -> None:
    """Make a folder where the page will make its own, and take it away again."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    Path(tempfile.mkdtemp(prefix=".lofi-", dir=nearest)).rmdir()


def _unwritable(folder: Path, error: OSError) -> MetricError:
    reason = error.strerror or type(error).__name__
    return MetricError(
        f"{folder}: the page cannot be written: {reason}", hint="name another folder"
    )
