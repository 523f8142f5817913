"""Lyric alignment: how many of the words that should be sung a recogniser does not hear."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.bootstrap import RESAMPLES, draw_clips, quantile_interval
from lofi_engine.metrics.checks import check_set, labelled, listed, pair_names, plural
from lofi_engine.metrics.clips import Clip, ClipSet
from lofi_engine.metrics.each_clip import value_each, value_pairs
from lofi_engine.metrics.extras import check_installed
from lofi_engine.metrics.figures import LOWER, Difference, Figure
from lofi_engine.metrics.lyric_words import NORMALIZATION, sung_words, words_of
from lofi_engine.metrics.mono import folded_to_mono
from lofi_engine.metrics.protocol import Needs, Report
from lofi_engine.metrics.recognizer import SpeechRecognizer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

UNWRITABLE = 0.5
"""A recogniser that cannot write more than this share of the lyrics' letters says nothing."""


@dataclass(frozen=True)
class WordErrors:
    """What a recogniser got wrong in one clip, by the cheapest alignment of words.

    Args:
        words: of the lyrics.
        substitutions: words heard as others.
        deletions: words not heard.
        insertions: words heard that are not in the lyrics.
    """

    words: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def count(self) -> int:
        """All errors together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors by word of the lyrics; above 1 where more is heard than sung."""
        return self.count / self.words


class LyricAlignment:
    """Word error rate of what a speech recogniser hears, against each clip's lyrics.

    The figure is pooled: all errors over all words, so that a clip weighs by its words; `each` has
    the clips' own rates, and `details` their mean. The interval draws clips. Clips without words,
    such as instrumentals, are left out and counted in `details`. How texts are compared is
    `lyric_words.NORMALIZATION`. The recogniser's own errors are in the figure, and singing is hard
    for it in any language: compare sets with one recogniser, do not read the figure by itself.

    It claims none of the ladder's degradations: they carry no words.

    Args:
        location: of the recogniser, see `SpeechRecognizer`.
        home: where a relative folder starts; None for the working folder.
        seed: of the bootstrap.

    Raises:
        MetricError: jiwer is not installed, or the recogniser is not there.
    """

    name = "lyrics"
    title = "lyric alignment: word error rate of what a recogniser hears; lower is better"
    needs = Needs(lyrics=True, model="a speech recogniser", extra="lyrics")
    sees: frozenset[str] = frozenset()

    def __init__(self, location: str | Path, *, home: Path | None = None, seed: int = 0) -> None:
        check_installed(self.name, self.needs.extra)
        self._recognizer = SpeechRecognizer(location, home=home)
        self._seed = seed

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure a set; `against` is not used.

        Raises:
            MetricError: no clip has words, or one alone; a clip has no sound; the recogniser cannot
                write the lyrics' letters, or hears the same in every clip.
        """
        sung = self._sung(judged)
        heard = value_each(judged, sung, self._hear, report)
        return (self._figure(judged, self._errors(judged, sung, heard)),)

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare two sets made from the same prompts, lyrics and seeds, by paired bootstrap.

        Raises:
            MetricError: as `measure`; also names, prompts, seeds or lyrics that do not match.
        """
        import numpy as np

        names = pair_names(first, second)
        differ = [
            name
            for name in names
            if sung_words(first.facts(name).lyrics) != sung_words(second.facts(name).lyrics)
        ]
        if differ:
            raise MetricError(
                f"{first.label} and {second.label}: lyrics differ: {listed(differ)}",
                hint="generate both sets with the same lyrics",
            )
        sung = self._sung(first)
        heard = value_pairs(first, second, sung, self._hear, report)
        both = [
            self._errors(clips, sung, words)
            for clips, words in zip((first, second), heard, strict=True)
        ]
        figures = self._figure(first, both[0]), self._figure(second, both[1])
        drawn = np.subtract(*[_pooled_again(errors, self._seed) for errors in both])
        interval = quantile_interval(drawn, len(both[0]))
        return (Difference.of(*figures, interval, len(both[0])),)

    def _figure(self, clips: ClipSet, errors: Mapping[str, WordErrors]) -> Figure:
        total = _sum(errors)
        rates = {name: found.rate for name, found in errors.items()}
        return Figure(
            metric=self.name,
            value=total.rate,
            interval=quantile_interval(
                _pooled_again(errors, self._seed), len(errors), (0.0, math.inf)
            ),
            n=len(errors),
            counted="clips",
            better=LOWER,
            judged=clips.label,
            each=rates,
            details={
                "recognizer": self._recognizer.name,
                "words": total.words,
                "substitutions": total.substitutions,
                "deletions": total.deletions,
                "insertions": total.insertions,
                "mean_of_clips": sum(rates.values()) / len(rates),
                "clips_without_words": len(clips.names) - len(errors),
                "weighted_by": "words",
                "normalization": NORMALIZATION,
            },
        )

    def _hear(self, clip: Clip) -> tuple[str, ...]:
        mono = folded_to_mono(clip)
        with labelled(clip.name):
            return words_of(self._recognizer.hear(mono, clip.sample_rate))

    def _sung(self, clips: ClipSet) -> dict[str, tuple[str, ...]]:
        """Give the words of every clip that has some."""
        check_set(clips)
        words = {name: sung_words(clips.facts(name).lyrics) for name in clips.names}
        sung = {name: found for name, found in words.items() if found}
        if len(sung) < 2:
            raise MetricError(
                f"{clips.label}: {plural(len(sung), 'clip')} with words in the lyrics, at least 2 "
                "are needed",
                hint="write each clip's lyrics to NAME_lyrics.txt beside it",
            )
        share = self._recognizer.unwritable(tuple(word for each in sung.values() for word in each))
        if share > UNWRITABLE:
            raise MetricError(
                f"{clips.label}: the recogniser {self._recognizer.name} cannot write {share:.0%} "
                "of the lyrics' letters",
                hint="use one that was trained on their language",
            )
        return sung

    def _errors(
        self,
        clips: ClipSet,
        sung: Mapping[str, tuple[str, ...]],
        heard: Mapping[str, tuple[str, ...]],
    ) -> dict[str, WordErrors]:
        """Count the errors of each clip, of a recogniser that tells the clips apart."""
        if len(set(heard.values())) == 1 and len(set(sung.values())) > 1:
            text = " ".join(next(iter(heard.values())))[:60]
            what = f"the same, {text!r}," if text else "no words at all"
            raise MetricError(
                f"{clips.label}: the recogniser {self._recognizer.name} hears {what} in each of "
                f"{len(heard)} clips with different lyrics",
                hint="listen to a clip: where it is sung, use another recogniser",
            )
        return {name: count_errors(words, heard[name]) for name, words in sung.items()}


def count_errors(sung: tuple[str, ...], heard: tuple[str, ...]) -> WordErrors:
    """Align two texts word by word and count what differs; `sung` holds at least one word."""
    import jiwer

    found = jiwer.process_words(" ".join(sung), " ".join(heard))
    return WordErrors(len(sung), found.substitutions, found.deletions, found.insertions)


def _sum(errors: Mapping[str, WordErrors]) -> WordErrors:
    found = errors.values()
    return WordErrors(
        words=sum(each.words for each in found),
        substitutions=sum(each.substitutions for each in found),
        deletions=sum(each.deletions for each in found),
        insertions=sum(each.insertions for each in found),
    )


def _pooled_again(errors: Mapping[str, WordErrors], seed: int) -> npt.NDArray[np.float64]:
    """Give the pooled rate of clips drawn again and again; equal seeds draw equal clips."""
    import numpy as np

    ordered = [errors[name] for name in sorted(errors)]
    drawn = draw_clips(len(ordered), RESAMPLES, seed)
    wrong = np.array([each.count for each in ordered])[drawn].sum(axis=1)
    rates: npt.NDArray[np.float64] = wrong / np.array([e.words for e in ordered])[drawn].sum(axis=1)
    return rates
