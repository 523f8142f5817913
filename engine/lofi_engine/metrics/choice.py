"""Says which metrics can be run with what is given, before any of them is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from lofi_engine.errors import MetricError
from lofi_engine.metrics.bootstrap import FEWEST_DRAWN
from lofi_engine.metrics.checks import listed, pair_names, plural
from lofi_engine.metrics.expected import SHORTEST_SEC
from lofi_engine.metrics.extras import how_to_install, is_installed
from lofi_engine.metrics.folder import ClipFolder, Extent
from lofi_engine.metrics.key import asked_key
from lofi_engine.metrics.projection import FEWEST_DIRECTIONS, WINDOWS_A_DIMENSION
from lofi_engine.metrics.protocol import Embedding, Needs
from lofi_engine.metrics.registry import MODEL_OPTIONS, MetricFacts, MetricOptions
from lofi_engine.metrics.scoring import are_pairs
from lofi_engine.metrics.style_recall import check_training
from lofi_engine.metrics.style_sets import CLIPS_A_STYLE
from lofi_engine.metrics.tempo import asked_tempo


def what_lacks(metric: MetricFacts, folders: Sequence[ClipFolder], options: MetricOptions) -> str:
    """Say why a metric cannot be run with what is given; "" where nothing is known against it.

    Args:
        metric: what it needs.
        folders: the judged set first, then what it is held against.
        options: which models are given.
    """
    needs = metric.needs
    return (
        _lacks_installed(metric.name, needs, options)
        or _lacks_reference(needs, folders)
        or _lacks_facts(needs, folders if needs.reference else folders[:1])
        or (_lacks_training(folders) if metric.name == "style-recall" else "")
    )


def _lacks_installed(name: str, needs: Needs, options: MetricOptions) -> str:
    if needs.model:
        option = MODEL_OPTIONS[name]
        if not getattr(options, option):
            return f"needs {needs.model}: --{option} FOLDER, or hf:owner/name"
    if needs.extra and not is_installed(needs.extra):
        return f"is not installed: {how_to_install(needs.extra)}"
    return ""


def _lacks_reference(needs: Needs, folders: Sequence[ClipFolder]) -> str:
    if not (needs.reference or needs.pairs):
        return ""
    if len(folders) < 2:
        return "needs a second folder to hold the first against"
    if needs.pairs:
        try:
            for other in folders[1:]:
                pair_names(folders[0], other)
        except MetricError as error:
            return f"needs pairs: {error.message}"
    return ""


def _lacks_facts(needs: Needs, folders: Sequence[ClipFolder]) -> str:
    wanted: list[tuple[bool, str, Callable[[ClipFolder, str], bool]]] = [
        (needs.prompts, "prompt", lambda folder, name: bool(folder.facts(name).prompt)),
        (needs.styles, "style", lambda folder, name: bool(folder.facts(name).style)),
        (needs.lyrics, "lyrics", lambda folder, name: bool(folder.facts(name).lyrics)),
        (needs.latents, "latents", lambda folder, name: folder.has_latents(name)),
    ]
    for folder in folders:
        for needed, word, has in wanted:
            without = [name for name in folder.names if needed and not has(folder, name)]
            if len(without) == len(folder.names):
                return f"no clip in {folder.label} has {_a(word)}"
            if without and word != "lyrics":  # those without words are left out of the count
                count = plural(len(without), "clip")
                return f"{count} in {folder.label} without {_a(word)}: {listed(without)}"
        if needs.styles:
            counts = Counter(folder.facts(name).style for name in folder.names)
            if len(counts) < 2 or min(counts.values()) < CLIPS_A_STYLE:
                return (
                    f"needs two styles in {folder.label} with {CLIPS_A_STYLE} clips each, or more"
                )
    return ""


def _lacks_training(folders: Sequence[ClipFolder]) -> str:
    """Say why nothing can be learned from the last folder about the styles of the others."""
    *judged, training = folders
    try:
        for one in judged:
            check_training(one, training)
    except MetricError as error:
        return error.message
    return ""


def lacks_windows(
    folders: Mapping[str, Mapping[str, Extent]], embedding: Embedding, *, project: bool
) -> str:
    """Say which set has fewer windows than a Fréchet distance needs; "" where none has.

    Args:
        folders: the clips' lengths by folder and name.
        embedding: states the window, the hop and the dimensions.
        project: whether fewer are answered by a projection.
    """
    fewest = FEWEST_DIRECTIONS if project else embedding.dimensions
    needed = WINDOWS_A_DIMENSION * fewest
    for label, extents in folders.items():
        durations = [extent.duration_sec for extent in extents.values()]
        found = sum(_windows(duration_sec, embedding) for duration_sec in durations)
        if found < needed:
            hint = "" if project else ", or --project"
            return (
                f"needs {needed} windows of {embedding.window_sec:g} s, {label} has {found}: "
                f"more or longer clips{hint}"
            )
    return ""


def _windows(duration_sec: float, embedding: Embedding) -> int:
    # A clip shorter than one window is a refusal by name, which says more than too few windows.
    return max(1, int((duration_sec - embedding.window_sec) / embedding.hop_sec + 1e-6) + 1)


def lacks_wishes(name: str, folders: Sequence[ClipFolder], extents: Mapping[str, Extent]) -> str:
    """Say why there is nothing to hold a tempo or key to, or nothing to hear it in.

    Args:
        name: "tempo" or "key".
        folders: the judged set first, then what it is held against.
        extents: the judged clips' lengths.
    """
    judged, *others = folders
    short = [clip for clip, one in extents.items() if one.duration_sec < SHORTEST_SEC]
    if short:
        return f"needs {SHORTEST_SEC:g} s and more of every clip, not so: {listed(short)}"
    if others and are_pairs(judged, others[-1]):
        return ""
    read: Callable[[str], object] = asked_tempo if name == "tempo" else asked_key
    asking = [clip for clip in judged.names if read(judged.facts(clip).prompt) is not None]
    if len(asking) >= FEWEST_DRAWN:
        return ""
    example = "74 bpm" if name == "tempo" else "A minor"
    count = plural(len(asking), "prompt") if asking else "no prompt"
    return f'needs prompts that ask for a {name} ("{example}"), or pairs: {count} in {judged.label}'


def _a(word: str) -> str:
    return word if word in ("lyrics", "latents") else f"a {word}"
