"""Goes through a base's figures, keeping what is measured already."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.base_quality import table
from lofi_engine.base_quality.bench import Bench, OnProgress, ignore_progress
from lofi_engine.base_quality.card_sections import write_section
from lofi_engine.base_quality.document import Document
from lofi_engine.base_quality.figures import choose, measure_figure
from lofi_engine.base_quality.settings import QualitySettings
from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_value
from lofi_runtime.atomic import write_text
from lofi_runtime.shared_data import shared_folder

if TYPE_CHECKING:
    from lofi_engine.base_quality.results import Result
    from lofi_engine.models.family import Base
    from lofi_engine.pretraining.settings import BaseSettings

FAMILY = "ace-step-v1"
SHIPPED = "nano-base.yaml"


@dataclass(frozen=True)
class QualityAsked:
    """What `lofi-recipe base measure` is asked for.

    Args:
        base: `builtin:...`, `hf:owner/name`, or a folder.
        recipe: of the base, whose pieces are measured with; None for the one that is shipped.
        out: where results and sounds go; it is made where it is missing.
        figures: names, or "" for all.
        settings: how much is measured.
        pictures: a folder for clips to hear and see; None for none.
        card: a Markdown file that gets the table too, in a section of its own; None for none.
        device: "cpu", "cuda", or "" for an accelerator where there is one.
    """

    base: str
    out: Path
    recipe: Path | None = None
    figures: str = ""
    settings: QualitySettings = field(default_factory=QualitySettings)
    pictures: Path | None = None
    card: Path | None = None
    device: str = ""


def measure_base(asked: QualityAsked, on_progress: OnProgress = ignore_progress) -> Document:
    """Measure a base and write `quality.json` and `quality.md`, after every figure.

    Figures of an earlier start are kept where base, recipe and settings are the same; of a figure
    that was stopped half-way, the sounds are.

    Args:
        asked: what, and where to.
        on_progress: told of long work.

    Returns:
        What is written in `quality.json`.

    Raises:
        StageError: the base or the recipe cannot be read, or no such figure.
        MetricError: a figure would mean nothing.
        BackendError: the base gives values that are not numbers.
        OSError: the folder cannot be written.
    """
    from lofi_engine.base_quality.material import Material
    from lofi_engine.pretraining.settings import BaseSettings

    figures = choose(asked.figures)
    if asked.card is not None and not asked.card.is_file():
        raise StageError(f"{asked.card}: is no file", hint="--card names the README.md of a base")
    recipe = BaseSettings.read(asked.recipe or shared_folder("recipes") / SHIPPED)
    base = load(asked.base, asked.device)
    bench = Bench(base, Material(recipe, asked.settings), asked.settings, asked.out, on_progress)
    document = Document(
        name_of(asked.base), base.identity, _stated(asked, recipe, base), _command(asked)
    )
    asked.out.mkdir(parents=True, exist_ok=True)
    document.go_on_with(asked.out)
    for name in figures:
        if name not in document.results:
            document.results[name] = _measured(name, bench)
            # Another process may have measured other figures meanwhile, into the same folder.
            document.go_on_with(asked.out)
            _write(document, asked.out)
    _write(document, asked.out)
    if asked.card is not None:
        write_section(asked.card, "quality", table.write_section(document))
    if asked.pictures is not None:
        from lofi_engine.base_quality.pictures import draw

        bench.figure = "pictures"
        draw(bench, document.name, asked.pictures)
    return document


def load(model: str, device: str = "") -> Base:
    """Load the base that is measured; its transformer goes to the device, the rest follows it.

    Raises:
        StageError: it is not there or not of its family, or there is no such device.
    """
    from lofi_engine.devices import choose_device
    from lofi_engine.libraries import quiet_bitsandbytes
    from lofi_engine.models.registry import FAMILIES

    quiet_bitsandbytes()
    wanted = choose_device(device)
    base = FAMILIES[FAMILY].load(model, revision="main", lyric_vocabulary=None, home=Path())
    base.transformer.requires_grad_(False).to(wanted)
    return base


def name_of(model: str) -> str:
    """Give what a base is called: what stands last in its location."""
    return Path(model.rpartition(":")[2]).resolve().name


def _measured(name: str, bench: Bench) -> Result:
    bench.figure = name
    clock = time.perf_counter()
    return replace(measure_figure(name, bench), took_sec=round(time.perf_counter() - clock, 1))


def _stated(asked: QualityAsked, recipe: BaseSettings, base: Base) -> dict[str, Any]:
    from lofi_engine.training.sample_guidance import guidance_of
    from lofi_runtime.synth import VERSION

    return {
        **asked.settings.stated(),
        "guidance_form": guidance_of(base),
        "recipe": recipe.name,
        "recipe_hash": hash_value([asdict(recipe.tracks), recipe.seed])[:12],
        "synthesiser": VERSION,
    }


def _command(asked: QualityAsked) -> str:
    usual = QualitySettings()
    words = ["lofi-recipe base measure", asked.base]
    options = {
        "--recipe": (asked.recipe, None),
        "--clips": (asked.settings.clips, usual.clips),
        "--seed": (asked.settings.seed, usual.seed),
        "--duration-sec": (asked.settings.duration_sec, usual.duration_sec),
        "--steps": (asked.settings.inference_steps, usual.inference_steps),
    }
    for option, (value, default) in options.items():
        if value != default:
            words += [option, str(value)]
    return " ".join(words)


def _write(document: Document, folder: Path) -> None:
    document.write(folder)
    write_text(folder / table.FILE, table.write_table(document))
