"""`lofi-recipe styles`: the taxonomy, listed, searched, linted against, rendered."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.styles.search import search_styles, style_facts, style_lines
from lofi_runtime.styles.lint import Finding, lint_prompt
from lofi_runtime.styles.taxonomy import Style, find_style, load_styles
from lofi_runtime.styles.vocabulary import load_vocabulary


def run_styles(
    style_ids: Sequence[str], *, search: str = "", folder: Path | None = None, as_json: bool = False
) -> int:
    """Print the taxonomy as a table, the styles found, or the ones named in full.

    Args:
        style_ids: print these in full; none prints the table.
        search: words that the styles in the table must fit.
        folder: a taxonomy of one's own; None takes the shipped one.
        as_json: print a JSON list.

    Returns:
        0; 1 where a search finds nothing.

    Raises:
        StyleError: an unknown id, or a damaged taxonomy.
    """
    styles = load_styles(folder)
    chosen = _chosen(styles.values(), style_ids, search, folder)
    if as_json:
        sys.stdout.write(
            json.dumps([style_facts(one) for one in chosen], indent=2, ensure_ascii=False) + "\n"
        )
    elif style_ids:
        sys.stdout.write("\n\n".join("\n".join(style_lines(one)) for one in chosen) + "\n")
    else:
        for line in _table(chosen):
            sys.stdout.write(f"{line}\n")
    if search and not chosen:
        sys.stderr.write(f"no style fits '{search}'; lofi-recipe styles lists them all\n")
        return 1
    return 0


def run_lint(text: str, *, folder: Path | None = None, as_json: bool = False) -> int:
    """Check a prompt, or every prompt of a file: unknown tags and contradictions.

    Args:
        text: a prompt, or the name of a file with a prompt a line; lines with # are comments. A
            `_prompt.txt` is one prompt however many lines it has.
        folder: a taxonomy of one's own, whose tags are known too.
        as_json: print a JSON list.

    Returns:
        0 where all is clean, else 1.

    Raises:
        LofiError: the file cannot be read.
    """
    vocabulary = load_vocabulary(folder).with_styles(load_styles(folder).values())
    found = [
        (where, prompt, finding)
        for where, prompt in _prompts(text)
        for finding in lint_prompt(prompt, vocabulary)
    ]
    if as_json:
        rows = [_row(where, prompt, finding) for where, prompt, finding in found]
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    else:
        for where, _, finding in found:
            sys.stdout.write(f"{where}{finding.message}\n")
        if not found:
            sys.stdout.write("ok\n")
    return 1 if found else 0


def run_render(target: Path, style_ids: Sequence[str], *, duration_sec: int, seed: int) -> int:
    """Render a clip of each of the shipped styles and a page to hear them.

    Args:
        target: the folder to write.
        style_ids: which ones; none for all.
        duration_sec: of each clip.
        seed: 0 or more; the same seed, the same clips.

    Raises:
        StyleError: an unknown id.
        StageError: the folder cannot be written, or a value is out of range.
    """
    from lofi_engine.gallery import render_gallery

    wanted = [style_id.upper() for style_id in style_ids]
    page = render_gallery(target, wanted, duration_sec, seed, _say_progress)
    sys.stdout.write(f"{page}\n")
    return 0


def run_lyrics_templates(
    style_ids: Sequence[str], *, fill: bool, seed: int, folder: Path | None = None
) -> int:
    """Print the lyrics template of styles, as it is or filled.

    Args:
        style_ids: the styles; none for all that have a voice.
        fill: put lines in place of the template's directions.
        seed: which lines; the same seed, the same lyrics.
        folder: a taxonomy of one's own.

    Raises:
        StyleError: an unknown id.
    """
    from lofi_engine.styles.lyric_templates import fill_template, template_of

    styles = load_styles(folder)
    wanted = _chosen(styles.values(), style_ids, "", folder)
    if not style_ids:
        wanted = [style for style in wanted if style.vocal]
    texts = []
    for style in wanted:
        template = template_of(style)
        text = fill_template(template, seed) if fill else template.text
        texts.append(text if style_ids else f"# {style.id} {style.name}\n{text}")
    sys.stdout.write("\n\n".join(texts) + "\n")
    return 0


def _chosen(styles: Any, style_ids: Sequence[str], search: str, folder: Path | None) -> list[Style]:
    listed: list[Style] = list(styles)
    by_id = {style.id: style for style in listed}
    if style_ids:
        listed = [find_style(by_id, style_id.upper()) for style_id in style_ids]
    return search_styles(listed, search, load_vocabulary(folder)) if search else listed


def _table(styles: Sequence[Style]) -> Iterator[str]:
    width = max((len(style.name) for style in styles), default=0)
    for style in styles:
        low, high = style.tempo_bpm
        tempo = f"{low}-{high} bpm"
        yield f"{style.id:<9}  {style.name:<{width}}  {tempo:<11}  {style.description}"


def _prompts(text: str) -> Iterator[tuple[str, str]]:
    """Give each prompt with where it stands, "" for one from the command line."""
    path = Path(text)
    if not _is_file_name(path):
        yield "", text
        return
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise StageError(
            f"{text}: cannot be read: {reason}", hint="put a prompt in quotes"
        ) from error
    if path.name.endswith("_prompt.txt"):
        yield f"{path.name}: ", " ".join(content.split())
        return
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield f"{path.name}:{number}: ", line


def _is_file_name(path: Path) -> bool:
    """Tell a file from a prompt: it is there, or looks like one and not like tags."""
    try:
        if path.is_file():
            return True
    except (OSError, ValueError):  # too long, or with a zero byte
        return False
    return path.suffix == ".txt" or (bool(path.suffix) and not {" ", ","} & set(path.name))


def _row(where: str, prompt: str, finding: Finding) -> dict[str, Any]:
    return {
        "where": where.rstrip(": "),
        "prompt": prompt,
        "kind": finding.kind,
        "tags": list(finding.tags),
        "about": finding.about,
        "nearest": finding.nearest,
    }


def _say_progress(done: int, total: int, style_id: str) -> None:
    sys.stderr.write(f"{done}/{total} clips  {style_id}".rstrip() + "\n")
    sys.stderr.flush()
