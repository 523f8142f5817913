"""CLAP score: how well a clip fits the words it was made from."""

from __future__ import annotations

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import check_set, listed, pair_names, plural
from lofi_engine.metrics.clips import Clip, ClipSet
from lofi_engine.metrics.each_clip import value_each, value_pairs
from lofi_engine.metrics.embeddings.clap import ClapEmbedding
from lofi_engine.metrics.figures import HIGHER, Difference, Figure
from lofi_engine.metrics.per_clip import compare_each, measure_each
from lofi_engine.metrics.protocol import Needs, Report
from lofi_engine.metrics.windows import cut_windows


class ClapScore:
    """Cosine of a clip's prompt and its sound, averaged over clips.

    A clip's sound is the mean of its windows' embeddings, each of length 1; the score is the
    cosine of that mean and the prompt's embedding, from -1 to 1. Figures of two checkpoints compare
    with nothing of each other: hold sets against each other with one of them.

    It claims none of the ladder's degradations: what it hears of them depends on the checkpoint.

    Args:
        embedding: the loaded model.
        seed: of the bootstrap.
    """

    name = "clap"
    title = "CLAP score: cosine of prompt and sound, -1 to 1; higher is better"
    needs = Needs(prompts=True, model="a CLAP model")
    sees: frozenset[str] = frozenset()

    def __init__(self, embedding: ClapEmbedding, *, seed: int = 0) -> None:
        self._embedding = embedding
        self._seed = seed

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Score every clip of a set; `against` is not used.

        Raises:
            MetricError: a clip has no prompt or no sound, or is shorter than a window.
        """
        check_set(judged)
        _check_prompts(judged)
        return (self._figure(judged, value_each(judged, judged.names, self.score, report)),)

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare two sets made from the same prompts and seeds, by paired bootstrap.

        Raises:
            MetricError: as `measure`; also names, prompts or seeds that do not match.
        """
        names = pair_names(first, second)
        for clips in (first, second):
            _check_prompts(clips)
        scores = value_pairs(first, second, names, self.score, report)
        figures = self._figure(first, scores[0]), self._figure(second, scores[1])
        return (compare_each(*figures, seed=self._seed),)

    def score(self, clip: Clip) -> float:
        """Score one clip that has a prompt.

        Raises:
            MetricError: it is shorter than a window.
        """
        import numpy as np

        windows = cut_windows(clip, self._embedding)
        sound = self._embedding.embed(windows).mean(axis=0)
        text = self._embedding.embed_texts([clip.facts.prompt])[0]
        return float(text @ sound / np.linalg.norm(sound))

    def _figure(self, clips: ClipSet, scores: dict[str, float]) -> Figure:
        embedding = self._embedding
        prompts = {clips.facts(name).prompt for name in clips.names}
        return measure_each(
            self.name,
            scores,
            better=HIGHER,
            judged=clips.label,
            embedding=embedding.name,
            details={
                "window_sec": embedding.window_sec,
                "hop_sec": embedding.hop_sec,
                "longest_prompt_tokens": embedding.longest_text,
                "prompts_cut": sum(embedding.is_cut(prompt) for prompt in prompts),
            },
            span=(-1.0, 1.0),
            seed=self._seed,
        )


def _check_prompts(clips: ClipSet) -> None:
    without = [name for name in clips.names if not clips.facts(name).prompt.strip()]
    if without:
        raise MetricError(
            f"{clips.label}: {plural(len(without), 'clip')} without a prompt: {listed(without)}",
            hint="write each clip's prompt to NAME_prompt.txt beside it",
        )
