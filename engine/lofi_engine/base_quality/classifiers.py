"""Whether what a prompt asks for can be heard, by classifiers that learned from synthesised tracks.

Each pair of clips has equal seeds, and prompts that differ in one tag alone.
"""

from __future__ import annotations

from functools import partial

from lofi_engine.base_quality.bench import Ask, Bench
from lofi_engine.base_quality.hearing import Classifier
from lofi_engine.base_quality.material import Piece, captions_of, score_of
from lofi_engine.base_quality.results import Result, Row, marks_row
from lofi_engine.base_quality.shelf import KeptClips
from lofi_engine.base_quality.tags import TAGS, Tag
from lofi_engine.pretraining.pieces import LOFI
from lofi_runtime.synth.sung import is_sung

NAME = "classifiers"
CHANCE = 50.0


def measure(bench: Bench) -> Result:
    """Give, for every tag, how many clips a classifier hears as they were asked for.

    Raises:
        StageError: there are too few pieces of a kind.
        BackendError: the base gives values that are not numbers.
    """
    rows = [row for tag in TAGS for row in _rows(bench, tag)]
    settings = bench.settings
    stated = {**settings.stated(), "pairs": settings.pairs, "taught": settings.taught}
    return Result(NAME, {**stated, "embedding": bench.embedding.name}, tuple(rows))


def _rows(bench: Bench, tag: Tag) -> list[Row]:
    classifier = _learn(bench, tag)
    ceiling = _ceiling(bench, tag, classifier)
    pieces = bench.material.held_out(bench.settings.pairs, _is_instrumental)
    likely = {answer: _asked(bench, tag, answer, pieces, classifier) for answer in tag.answers}
    one, other = tag.answers
    pairs = list(zip(likely[one], likely[other], strict=True))
    # How sure it is of the first answer: above one half of those, below of the others.
    right = [((mine > 0.5) + (theirs <= 0.5)) / 2 for mine, theirs in pairs]
    ranked = [float(mine > theirs) for mine, theirs in pairs]
    beside = {"held-out synthesised tracks": ceiling, "chance": CHANCE}
    return [
        marks_row(f"{tag.name}: heard as asked", right, counted="pairs", beside=beside),
        marks_row(
            f"{tag.name}: the right one of a pair",
            ranked,
            counted="pairs",
            beside={"chance": CHANCE},
        ),
    ]


def _learn(bench: Bench, tag: Tag) -> Classifier:
    settings = bench.settings
    clips: list[KeptClips] = []
    answers: list[str] = []
    for answer in tag.answers:
        pieces = bench.material.taught(settings.taught, partial(_is, tag, answer))
        clips.append(bench.play(f"tracks to learn '{answer}' from", pieces))
        answers += [answer] * len(pieces)
    return Classifier(bench.hear(clips, tag.how), answers)


def _ceiling(bench: Bench, tag: Tag, classifier: Classifier) -> float:
    """Give the balanced accuracy on synthesised tracks that it has not learned from, in %."""
    shares = []
    for answer in tag.answers:
        pieces = bench.material.held_out(bench.settings.pairs, partial(_is, tag, answer))
        played = bench.play(f"held-out tracks that are '{answer}'", pieces)
        found = classifier.answers(bench.hear([played], tag.how))
        shares.append(sum(one == answer for one in found) / len(found))
    return 100.0 * sum(shares) / len(shares)


def _asked(
    bench: Bench, tag: Tag, answer: str, pieces: tuple[Piece, ...], classifier: Classifier
) -> list[float]:
    """Ask for an answer; give how sure the classifier is of the first one for each clip."""
    asks = [
        Ask(
            piece.name,
            tag.ask(captions_of(piece)[0], answer),
            "",
            bench.seed("|".join(tag.answers), number),
        )
        for number, piece in enumerate(pieces)
    ]
    clips = bench.generate(f"clips that should be '{answer}'", asks)
    return [one[tag.answers[0]] for one in classifier.likelihoods(bench.hear([clips], tag.how))]


def _is(tag: Tag, answer: str, piece: Piece) -> bool:
    return tag.of(score_of(piece)) == answer


def _is_instrumental(piece: Piece) -> bool:
    return piece.kind == LOFI and not is_sung(score_of(piece))
