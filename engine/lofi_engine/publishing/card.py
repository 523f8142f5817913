"""The model card: rendered from the same records as the manifests, so it cannot say otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from lofi_engine.markdown import plain
from lofi_engine.onnx_graphs.oldest import loads_in_daemon
from lofi_engine.publishing.facts import Release
from lofi_engine.publishing.heard import basis_of, cell_of, column_of, heard_metrics

_BASES = {
    "builtin:tiny": (
        "**The base is a tiny network with random weights.** What it makes sounds like noise; it "
        "proves the path from recipe to editor, not a musical result."
    ),
    "builtin:lofi-nano": (
        "**The base is lofi-nano,** a small model taught with this project's own synthesiser, for "
        "trials, tests and teaching: it knows no recorded music and no words."
    ),
}
"""What is to be said of a built-in base."""


def model_card(release: Release) -> str:
    """Write README.md of the published repository: front matter, figures, recipe, data, limits."""
    return "\n".join(_lines(release)) + "\n"


def _lines(release: Release) -> Iterator[str]:
    yield from _front_matter(release)
    if release.is_rehearsal:
        yield (
            "> **This is a rehearsal:** a small trial run that proves the path, not the model its "
            "recipe describes. What it changed is listed under [Recipe](#recipe)."
        )
        yield ""
    yield f"# {release.model_name} {release.version}"
    yield ""
    yield release.description or "A lofi music model made by one recipe."
    yield ""
    if release.base.model in _BASES:
        yield f"> {_BASES[release.base.model]}"
        yield ""
    yield from _usage(release)
    yield from _variants(release)
    yield from _data(release)
    yield from _recipe(release)


def _recipe(release: Release) -> Iterator[str]:
    yield "## Recipe"
    yield ""
    yield f"sha256 `{release.recipe_sha256}`" + (
        f", commit `{release.git_revision}`" if release.git_revision else ""
    )
    yield ""
    if release.changes:
        yield "Run with changes, which hold where the text says otherwise:"
        yield ""
        yield from (f"- `{line}`" for line in release.changes)
        yield ""
    yield "```yaml"
    yield release.recipe_text.rstrip()
    yield "```"


def _front_matter(release: Release) -> Iterator[str]:
    yield "---"
    yield f"license: {release.license}"
    yield "pipeline_tag: text-to-audio"
    yield "library_name: lofi-recipe"
    if release.base.model.startswith("hf:"):
        yield f"base_model: {release.base.model.removeprefix('hf:')}"
    yield "tags: [music-generation, lofi, lora, onnx]"
    yield "---"
    yield ""


def _usage(release: Release) -> Iterator[str]:
    first = release.bundle(next(iter(release.records)))
    yield "## Use"
    yield ""
    yield "```"
    yield f'lofi-runtime generate "rainy night coding" --bundle {first} --out rain.wav'
    yield "```"
    yield ""
    yield "Everything it makes is tagged as AI-generated, with model and licence, in the file."
    yield "How to ask for what you want: [PROMPTING.md](PROMPTING.md)."
    yield ""


def _variants(release: Release) -> Iterator[str]:
    heard = heard_metrics(release)
    columns = [
        "bundle",
        "size",
        "weights at or below its width",
        "latent distance from float32",
        *(column_of(metric) for metric in heard),
        "render time over audio time",
        "ONNX Runtime, oldest and proven on",
        "lofi.nvim's daemon",
    ]
    yield "## Variants"
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for variant, record in release.records.items():
        measure = release.measures[variant]
        distance = measure["quality"]["latent_distance"]
        cpu = measure["measured"].get("CPUExecutionProvider", {})
        cells = [
            f"`{release.bundle(variant)}`",
            f"{record['total_bytes'] / 1e6:.1f} MB",
            f"{record['coverage_total']:.1%}",
            f"{distance['mean']:.3g}",
            *(cell_of(measure["quality"][metric]) for metric in heard),
            f"{cpu['render_time_ratio']:.2f} (CPU)" if "render_time_ratio" in cpu else "-",
            f"{record['oldest_onnxruntime']}, {record['newest_onnxruntime']}",
            "loads it" if loads_in_daemon(record["oldest_onnxruntime"]) else "too old for it",
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    seeds = next(iter(release.measures.values()))["quality"]["seeds"]
    yield (
        f"Distance: root-mean-square difference of the final latents over the float32 latents' "
        f"deviation, mean of {seeds} seeds at equal prompts and noise. Times are of the machine "
        "that made this release."
    )
    yield ""
    for metric in heard:
        yield basis_of(release, metric)
        yield ""
    if all("transformer_context" in record["sizes"] for record in release.records.values()):
        yield (
            "`transformer_decoder.onnx` takes the prompt's and the lyrics' context at every step. "
            "`transformer_context.onnx` and `transformer_decoder_step.onnx` are the same decoder "
            "in two parts, the first run once a track. All three read one file of weights."
        )
        yield ""


def _data(release: Release) -> Iterator[str]:
    ledger = release.ledger
    hours = ledger["duration_sec"] / 3600
    yield "## Training data"
    yield ""
    yield f"{ledger['tracks']} tracks, {hours:.2f} hours."
    yield ""
    yield "| licence | tracks |"
    yield "|---|---|"
    for name, count in ledger["licenses"].items():
        yield f"| {plain(name)} | {count} |"
    yield ""
    if release.attributions:
        yield "Attributions:"
        yield ""
        yield from (f"- {plain(line)}" for line in release.attributions)
        yield ""
