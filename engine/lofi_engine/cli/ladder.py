"""`lofi-recipe ladder`: which metric sees what, tried on sound made worse step by step."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.cli.columns import in_columns
from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.ladder.climb import Ladder, climb_ladder
from lofi_engine.metrics.ladder.degradations import find_degradation
from lofi_engine.metrics.ladder.page import ladder_page
from lofi_engine.metrics.ladder.synthesised import DURATION_SEC, STYLES, synthesise_clips
from lofi_engine.metrics.ladder.table import as_json, false_claims, table_rows
from lofi_engine.metrics.registry import MetricOptions, make_metrics
from lofi_runtime.atomic import write_text

_WITHOUT_MODELS = ("fad", "mrstft", "mel", "tempo", "key")
_MOST_CLIPS = {"visqol": 6, "mrstft": 8, "mel": 8}  # seconds of work a minute of sound: 5, 3, 1
_HOW_TO_READ = """
After the verdict: the mildest level told from the undegraded. * claimed, ! claimed in vain.
"""


@dataclass(frozen=True)
class Bed:
    """What the ladder is climbed on.

    Args:
        folder: of audio; None synthesises.
        styles: how many to synthesise, two clips each.
        duration_sec: of a synthesised clip.
        convert: whether the folder's clips are brought to one sample rate and channel count.
    """

    folder: Path | None
    styles: int = STYLES
    duration_sec: float = DURATION_SEC
    convert: bool = False


def run_ladder(
    bed: Bed,
    names: Sequence[str],
    degradations: Sequence[str],
    options: MetricOptions,
    *,
    markdown: Path | None = None,
    print_json: bool = False,
) -> int:
    """Climb, print the table or JSON, and write the page where one is asked for.

    Args:
        bed: what is degraded.
        names: of the metrics; none takes those that need no model and are installed.
        degradations: their names; none takes all.
        options: what metrics are made with.
        markdown: the file of the page; None writes none.
        print_json: print JSON in place of the table.

    Returns:
        0; 1 where a metric claims to rank what it does not.

    Raises:
        MetricError: no such metric, degradation or folder, or a metric refuses the clips.
    """
    if markdown is not None and (markdown.is_dir() or not markdown.parent.is_dir()):
        raise _cannot_write(markdown)
    tried = [find_degradation(name) for name in degradations]
    metrics = make_metrics(tuple(names) or _without_models(), options)
    ladder = climb_ladder(
        metrics,
        _clips(bed, options.seed),
        _say_level,
        seed=options.seed,
        most_clips=_MOST_CLIPS,
        **({"degradations": tried} if tried else {}),
    )
    if print_json:
        sys.stdout.write(json.dumps(as_json(ladder), indent=2, ensure_ascii=False) + "\n")
    else:
        _print_table(ladder)
    if markdown is not None:
        said = {"--metric": names, "--degradation": degradations, "--markdown": [str(markdown)]}
        _write_page(markdown, ladder_page(ladder, _command(bed, said, options)))
    for line in false_claims(ladder):
        sys.stderr.write(f"false claim: {line}\n")
    return 1 if ladder.false_claims else 0


def _without_models() -> tuple[str, ...]:
    """Name the metrics that need nothing but sound; ViSQOL where it is installed."""
    installed = importlib.util.find_spec("visqol") is not None
    return (*_WITHOUT_MODELS, "visqol") if installed else _WITHOUT_MODELS


def _clips(bed: Bed, seed: int) -> ClipSet:
    if bed.folder is None:
        return synthesise_clips(
            _say_clip, styles=bed.styles, duration_sec=bed.duration_sec, seed=seed
        )
    from lofi_engine.metrics.convert import least_format
    from lofi_engine.metrics.folder import ClipFolder

    clips = ClipFolder(bed.folder)
    if not bed.convert:
        return clips
    extents = clips.survey(_say_clip).values()
    return ClipFolder(bed.folder, least_format(one.format for one in extents))


def _print_table(ladder: Ladder) -> None:
    sys.stdout.write(f"{ladder.count} clips of {ladder.clips}, and as many to hold them against\n")
    for line in in_columns(table_rows(ladder)):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(_HOW_TO_READ)


def _write_page(path: Path, page: str) -> None:
    try:
        write_text(path, page)
    except OSError as error:
        raise _cannot_write(path) from error
    sys.stderr.write(f"{path}\n")


def _cannot_write(path: Path) -> MetricError:
    return MetricError(
        f"{path}: the page cannot be written there", hint="name a file in a folder that is there"
    )


def _command(bed: Bed, said: Mapping[str, Sequence[str]], options: MetricOptions) -> str:
    """Write the command that makes the page anew; what is at its default is left out."""
    words = ["lofi-recipe", "ladder", *([str(bed.folder)] if bed.folder else [])]
    for option, values in said.items():
        words += [word for value in values for word in (option, value)]
    usual = {**vars(MetricOptions()), **vars(Bed(bed.folder))}
    for name, value in {**vars(options), **vars(bed)}.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value != usual[name]:
            words += [option, value if isinstance(value, str) else f"{value:g}"]
    return shlex.join(words)


def _say_clip(done: int, total: int, name: str) -> None:
    if done == 1 or done == total or done % 10 == 0:
        sys.stderr.write(f"{done}/{total} clips  {name}\n")
        sys.stderr.flush()


def _say_level(done: int, total: int, what: str) -> None:
    sys.stderr.write(f"{done}/{total} levels  {what}\n")
    sys.stderr.flush()
