"""Whether lyrics and voices are heard: what changes when they do, and what can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from lofi_engine.base_quality.bench import Ask, Bench
from lofi_engine.base_quality.hearing import COLOUR, Classifier
from lofi_engine.base_quality.material import Piece, lyrics_of
from lofi_engine.base_quality.results import Result, Row, marks_row, mean_row
from lofi_engine.base_quality.shelf import KeptClips
from lofi_engine.metrics.mel import mel_distance_db

NAME = "vocals"
STYLES = ("VOCAL-01", "VOCAL-02", "VOCAL-03", "VOCAL-04", "VOCAL-05")
VOWELS = {
    "a": "[verse]\n" + "\n".join(["la la la la"] * 4),
    "i": "[verse]\n" + "\n".join(["mi mi mi mi"] * 4),
}
_VOICES = (
    *("female vocal sample", "male vocal sample", "chopped vocals", "wordless vocals"),
    *("humming", "murmuring", "spoken word"),
)
_CHANCE_OF_TWO = 50.0


def measure(bench: Bench) -> Result:
    """Give how far lyrics and vocal tags move the sound, and how well voices are told apart.

    Raises:
        StageError: there are too few sung pieces, or the base cannot read lyrics.
        BackendError: the base gives values that are not numbers.
    """
    rows = (*_changes(bench), *_vowels(bench), *_styles(bench))
    settings = bench.settings
    stated = {**settings.stated(), "sung_clips": settings.sung_clips, "taught": settings.taught}
    return Result(NAME, {**stated, "embedding": bench.embedding.name}, rows)


def _is_of(style: str, piece: Piece) -> bool:
    return piece.style == style


def _has_words(piece: Piece) -> bool:
    return bool(lyrics_of(piece))


def _changes(bench: Bench) -> list[Row]:
    """Change one thing at a time, and measure the log-mel distance in dB."""
    pieces = bench.material.held_out(bench.settings.sung_clips, _has_words)
    asks = bench.asks_of(pieces, NAME)
    as_asked = bench.generate("sung clips", asks)
    lyrics = [ask.lyrics for ask in asks]
    others = [*lyrics[1:], lyrics[0]]
    changed = {
        "other lyrics": [replace(a, lyrics=b) for a, b in zip(asks, others, strict=True)],
        "no lyrics": [replace(ask, lyrics="") for ask in asks],
        "another voice in the tags": [replace(a, prompt=other_voice(a.prompt)) for a in asks],
        "another seed": [
            replace(ask, seed=bench.seed("other vocals", number)) for number, ask in enumerate(asks)
        ],
    }
    apart = {
        what: _distances(as_asked, bench.generate(f"clips with {what}", wanted))
        for what, wanted in changed.items()
    }
    seeds = apart.pop("another seed")
    beside = {"another seed": sum(seeds) / len(seeds), "nothing changed": _again(bench, asks[0])}
    return [
        mean_row(f"log-mel distance with {what}", values, "dB", beside=beside, counted="pairs")
        for what, values in apart.items()
    ]


def _distances(one: KeptClips, other: KeptClips) -> list[float]:
    found = []
    for name in one.names:
        mine, theirs = one.clip(name), other.clip(name)
        found.append(mel_distance_db(theirs.samples, mine.samples, mine.sample_rate))
    return found


def _again(bench: Bench, ask: Ask) -> float:
    """Render the same request twice, past the shelf: what is not a change must be none."""
    first, second = (bench.render(ask).samples for _ in range(2))
    return mel_distance_db(first, second, 48_000)


def other_voice(prompt: str) -> str:
    """Put another voice in a prompt: a man for a woman, a woman for all others."""
    tags = prompt.split(", ")
    wanted = _VOICES[1] if _VOICES[0] in tags else _VOICES[0]
    kept = [tag for tag in tags if tag not in _VOICES and tag != "instrumental"]
    return ", ".join([*kept, wanted])


def _vowels(bench: Bench) -> list[Row]:
    """Ask for "la la la" and for "mi mi mi" with equal seeds, and listen for the vowel."""
    vowels = tuple(VOWELS)
    taught = bench.material.taught(bench.settings.taught, _has_words)
    classifier = _vowel_classifier(bench, taught)
    held_out = bench.material.held_out(bench.settings.sung_clips, _has_words)
    shares = []
    for vowel in vowels:
        played = bench.play(f"held-out '{vowel}'", held_out, [VOWELS[vowel]] * len(held_out))
        found = classifier.answers(bench.hear([played], COLOUR))
        shares.append(sum(one == vowel for one in found) / len(found))
    ceiling = 100.0 * sum(shares) / len(shares)
    likely = [_sung(bench, vowel, held_out, classifier) for vowel in vowels]
    pairs = list(zip(*likely, strict=True))
    right = [((mine > 0.5) + (theirs <= 0.5)) / 2 for mine, theirs in pairs]
    ranked = [float(mine > theirs) for mine, theirs in pairs]
    beside = {"held-out synthesised tracks": ceiling, "chance": _CHANCE_OF_TWO}
    chance = {"chance": _CHANCE_OF_TWO}
    return [
        marks_row('"la la" against "mi mi": heard as asked', right, counted="pairs", beside=beside),
        marks_row(
            '"la la" against "mi mi": the right one of a pair',
            ranked,
            counted="pairs",
            beside=chance,
        ),
    ]


def _vowel_classifier(bench: Bench, pieces: Sequence[Piece]) -> Classifier:
    sets = [
        bench.play(f"'{vowel}' to learn from", pieces, [lyrics] * len(pieces))
        for vowel, lyrics in VOWELS.items()
    ]
    answers = [vowel for vowel in VOWELS for _ in pieces]
    return Classifier(bench.hear(sets, COLOUR), answers)


def _sung(bench: Bench, vowel: str, pieces: Sequence[Piece], classifier: Classifier) -> list[float]:
    """Have a vowel sung; give how sure the classifier is of the first one for each clip."""
    asks = [replace(a, lyrics=VOWELS[vowel]) for a in bench.asks_of(pieces, "vowels")]
    clips = bench.generate(f"clips that sing '{vowel}'", asks)
    first = next(iter(VOWELS))
    return [one[first] for one in classifier.likelihoods(bench.hear([clips], COLOUR))]


def _styles(bench: Bench) -> list[Row]:
    """Tell the styles with a voice apart."""
    settings = bench.settings
    learn, test, made = [], [], []
    answers: list[str] = []
    for style in STYLES:
        taught = bench.material.taught(settings.taught, partial(_is_of, style))
        learn.append(bench.play(f"{style} to learn from", taught))
        answers += [style] * len(taught)
        held_out = bench.material.held_out(settings.sung_clips, partial(_is_of, style))
        test.append(bench.play(f"held-out {style}", held_out))
        made.append(bench.generate(f"clips of {style}", bench.asks_of(held_out, style)))
    classifier = Classifier(bench.hear(learn, COLOUR), answers)
    truth = [style for style in STYLES for _ in range(settings.sung_clips)]
    ceiling, marks = (_marks(bench, classifier, sets, truth) for sets in (test, made))
    beside = {
        "held-out synthesised tracks": 100.0 * sum(ceiling) / len(ceiling),
        "chance": 100.0 / len(STYLES),
    }
    return [
        marks_row("VOCAL-01 to VOCAL-05: heard as asked", marks, beside=beside),
        *_by_style(marks, truth),
    ]


def _marks(
    bench: Bench, classifier: Classifier, sets: Sequence[KeptClips], truth: Sequence[str]
) -> list[float]:
    found = classifier.answers(bench.hear(sets, COLOUR))
    return [float(one == style) for one, style in zip(found, truth, strict=True)]


def _by_style(marks: Sequence[float], truth: Sequence[str]) -> list[Row]:
    rows = []
    for style in STYLES:
        mine = [mark for mark, one in zip(marks, truth, strict=True) if one == style]
        rows.append(marks_row(f"{style}: heard as asked", mine, beside={"chance": 20.0}))
    return rows
