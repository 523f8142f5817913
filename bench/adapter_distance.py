"""How far a recipe's adapter moves the sound towards its style, over several seeds.

For each seed the recipe's own stages make its tracks and train and select its adapter. Other tracks
of the same styles, of a seed nothing is trained with, are the reference, and their prompts are what
base and adapter are asked for, at equal noise. What is compared is the Fréchet audio distance to
the reference in the built-in embedding; where there are too few windows for all of its dimensions
it is projected, and the figure's embedding says on how many directions. The interval is of the
difference, by paired bootstrap over clips.

Run alone: python bench/adapter_distance.py recipes/starter.yaml --work FOLDER --out found.json
The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lofi_engine.base_quality.card_sections import write_section
from lofi_engine.data.descriptions import read_descriptions
from lofi_engine.data.rows import accepted_rows
from lofi_engine.events import Event
from lofi_engine.measuring.clip_sets import HELD_OUT, RenderedClips, Tracks
from lofi_engine.metrics.clips import Clip, ClipsInMemory
from lofi_engine.metrics.embeddings.sound import SoundEmbedding
from lofi_engine.metrics.fad import FrechetAudioDistance
from lofi_engine.metrics.figures import Difference
from lofi_engine.models.family import Base
from lofi_engine.models.loading import base_of, load_base
from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.model import Recipe
from lofi_engine.run import Choice, run
from lofi_engine.stages.registry import STAGES
from lofi_engine.threads import use_threads
from lofi_engine.training.selection_clips import AskedClip, ask_for, render_clips
from lofi_runtime.atomic import write_json
from lofi_runtime.backend import SAMPLE_RATE

PREPARED = ("curate", "describe")
TRAINED = (*PREPARED, "split", "encode", "train", "select")
BASE, ASKED = "base", "asked.json"
HELD_OUT_SEED = 1_000_003
"""No recipe has it, so no track is trained on."""
LEAST_FALL = 0.2


@dataclass(frozen=True)
class Asked:
    """What is rendered.

    Args:
        clips: the prompts and their noise.
        duration_sec: of each clip.
        steps: of denoising.
    """

    clips: Sequence[AskedClip]
    duration_sec: int
    steps: int

    def as_json(self, maker: str) -> dict[str, Any]:
        """Give what must be equal for clips that lie there to be these."""
        clips = [[one.name, asdict(one.facts)] for one in self.clips]
        settings = {"duration_sec": self.duration_sec, "steps": self.steps, "maker": maker}
        return json.loads(json.dumps(settings | {"clips": clips}))  # type: ignore[no-any-return]


def say(text: str) -> None:
    """Show progress on stderr: stdout has the figures alone."""
    print(text, file=sys.stderr, flush=True)


def show(event: Event) -> None:
    """Show what stages begin and warn of."""
    if event.kind == "warning" or not event.done:
        say(f"  {event.stage}: {event.message}")


def moved(recipe: Recipe, work: Path) -> Recipe:
    """Give the recipe as if it lay in `work`, so that its runs do."""
    model = recipe.base.model
    if not model.startswith(("builtin:", "hf:")):
        model = str((recipe.home / model).resolve())
    return replace(recipe, path=work / recipe.path.name, base=replace(recipe.base, model=model))


def held_out(recipe: Recipe, tracks: int) -> tuple[Tracks, Path]:
    """Make tracks of the recipe's styles that nothing is trained on.

    Returns:
        The tracks, and the folder of what is said of them.
    """
    sources = tuple(
        replace(source, synth=replace(source.synth, tracks=tracks))
        for source in recipe.dataset.sources
        if source.synth is not None
    )
    if len(sources) != 1 or len(recipe.dataset.sources) != 1:
        sys.exit(f"{recipe.path.name}: dataset.sources must be one synth block, to make more of it")
    other = replace(
        recipe,
        name=f"{recipe.name[:40]}-held-out",
        seed=HELD_OUT_SEED,
        dataset=replace(recipe.dataset, sources=sources),
    )
    made = run(other, STAGES, sink=show, choice=Choice(only=PREPARED))
    curated = made["curate"].folder
    rows = {row.track: row for row in accepted_rows(curated)}
    return Tracks("held-out tracks", HELD_OUT, curated, rows), made["describe"].folder


def trained(recipe: Recipe, seed: int) -> Path:
    """Train the recipe's adapter with a seed; give the folder of the chosen one."""
    # Samples to listen to would take longer than the training.
    training = replace(recipe.training, sample_every=recipe.training.steps + 1)
    name = f"{recipe.name[:40]}-seed-{seed}"
    seeded = replace(recipe, name=name, seed=seed, training=training)
    return run(seeded, STAGES, sink=show, choice=Choice(only=TRAINED))["select"].folder / "adapter"


def rendered(base: Base, asked: Asked, folder: Path, label: str, maker: str) -> ClipsInMemory:
    """Render with the base's transformer as it is now, or read what an earlier start left."""
    marker, wanted = folder / ASKED, asked.as_json(maker)
    if not marker.is_file() or json.loads(marker.read_text(encoding="utf-8")) != wanted:
        marker.unlink(missing_ok=True)
        render_clips(
            base,
            asked.clips,
            RenderedClips(label, folder),
            duration_sec=asked.duration_sec,
            steps=asked.steps,
            on_clip=lambda done, total: say(f"  {label}: clip {done + 1} of {total}"),
        )
        write_json(marker, wanted)
    return ClipsInMemory(
        label,
        [
            Clip(one.name, np.load(folder / f"{one.name}.npy"), SAMPLE_RATE, one.facts)
            for one in asked.clips
        ],
    )


def with_adapters(
    recipe: Recipe, adapters: dict[int, Path], asked: Asked, reference: Tracks, work: Path
) -> dict[int, Difference]:
    """Compare each adapter's clips with the base's."""
    from lofi_engine.training.adapters import (
        add_adapter,
        load_adapter_weights,
        set_adapter_weights,
    )
    from lofi_engine.training.fitting import settle

    base = load_base(base_of(recipe), recipe.home)
    settle(base.transformer, say)
    plain = rendered(base, asked, work / "clips" / BASE, BASE, base.identity)
    model = add_adapter(base.transformer, recipe.lora, 0)
    metric = FrechetAudioDistance(SoundEmbedding(), project=True)
    found = {}
    for seed, place in adapters.items():
        set_adapter_weights(model, load_adapter_weights(place), source=place)
        name = f"seed-{seed}"
        maker = f"{base.identity} {place.parent.name}"
        clips = rendered(base, asked, work / "clips" / name, name, maker)
        found[seed] = metric.compare(clips, plain, reference, lambda *_: None)[0]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what a recipe's adapter moves.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from the recipe's own on")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=40, metavar="TRACKS")
    parser.add_argument("--duration-sec", type=int, default=10)
    parser.add_argument("--steps", type=int, default=27)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keeps what was made, to go on with")
    parser.add_argument("--card", type=Path, help="puts the table into this card too")
    parser.add_argument("--out", type=Path, help="writes the figures as JSON too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="adapter-distance-") as temporary:
        work: Path = (asked.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        use_threads(asked.threads)
        recipe = moved(load_recipe(asked.recipe, asked.changes), work)
        reference, described = held_out(recipe, asked.held_out)
        clips = ask_for(read_descriptions(described), asked.clips)
        wanted = Asked(clips, asked.duration_sec, asked.steps)
        seeds = range(recipe.seed, recipe.seed + asked.seeds)
        adapters = {seed: trained(recipe, seed) for seed in seeds}
        found = with_adapters(recipe, adapters, wanted, reference, work)
    report(recipe, found, wanted, asked.held_out)
    falls = [fall(one) for one in found.values()]
    if asked.card:
        write_section(asked.card, "adapter", card_section(recipe, found, wanted, asked.held_out))
    if asked.out:
        content = {
            "recipe": recipe.name,
            "base": recipe.base.model,
            "clips": asked.clips,
            "held_out_tracks": asked.held_out,
            "duration_sec": asked.duration_sec,
            "steps": asked.steps,
            "falls": dict(zip(map(str, found), falls, strict=True)),
            "differences": {str(seed): asdict(one) for seed, one in found.items()},
        }
        asked.out.write_text(json.dumps(content, indent=1, default=list) + "\n", encoding="utf-8")
    return 0 if statistics.mean(falls) >= LEAST_FALL else 1


def fall(found: Difference) -> float:
    """Give by what share the distance falls."""
    return -(found.relative or 0.0)


def report(recipe: Recipe, found: dict[int, Difference], asked: Asked, tracks: int) -> None:
    """Print the table."""
    one = next(iter(found.values()))
    print(
        f"{recipe.name} on {recipe.base.model}: {len(asked.clips)} clips of {asked.duration_sec} s "
        f"at {asked.steps} steps against {tracks} held-out tracks"
    )
    print(
        f"Fréchet distance in {one.first.embedding}, {one.first.n} windows a set; lower is better"
    )
    print(f"{'seed':>6}{'base':>10}{'adapter':>10}{'falls by':>10}   difference, 95 %")
    for seed, each in found.items():
        low, high = each.interval.low, each.interval.high
        print(
            f"{seed:>6}{each.second.value:>10.3f}{each.first.value:>10.3f}{fall(each):>10.1%}"
            f"   {each.value:+.3f} [{low:+.3f}, {high:+.3f}]"
        )
    falls = [fall(each) for each in found.values()]
    print(f"mean fall {statistics.mean(falls):.1%}; {LEAST_FALL:.0%} are wanted")


def card_section(recipe: Recipe, found: dict[int, Difference], asked: Asked, tracks: int) -> str:
    """Write the table for a card."""
    one = next(iter(found.values()))
    falls = [fall(each) for each in found.values()]
    reached = "reached" if statistics.mean(falls) >= LEAST_FALL else "missed"
    lines = [
        "## What an adapter moves",
        "",
        f"`recipes/{recipe.path.name}` teaches an adapter a family of styles. Fréchet distance in "
        f"{one.first.embedding} from {len(asked.clips)} generated clips of {asked.duration_sec} s "
        f"({asked.steps} steps, {one.first.n} windows) to {tracks} tracks of those styles that "
        f"nothing was trained on. It falls by {statistics.mean(falls):.0%} on average; "
        f"{LEAST_FALL:.0%} are wanted: {reached}. Made by `python bench/adapter_distance.py "
        f"recipes/{recipe.path.name}`.",
        "",
        "| seed | base | adapter | falls by | difference, 95 % |",
        "|---|---|---|---|---|",
    ]
    for seed, each in found.items():
        low, high = each.interval.low, each.interval.high
        lines.append(
            f"| {seed} | {each.second.value:.3f} | {each.first.value:.3f} | {fall(each):.1%} "
            f"| {each.value:+.3f} ({low:+.3f} to {high:+.3f}) |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
