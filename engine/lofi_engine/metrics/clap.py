"""CLAP score: how well a clip fits the words it was made from."""

from __future__ import annotations

from collections.abc import Mapping

from lofi_engine.errors import MetricError
from lofi_engine.metrics.checks import listed, plural
from lofi_engine.metrics.clip_by_clip import Scorer
from lofi_engine.metrics.clips import Clip, ClipSet
from lofi_engine.metrics.embeddings.clap import ClapEmbedding
from lofi_engine.metrics.figures import HIGHER, Figure
from lofi_engine.metrics.per_clip import measure_each
from lofi_engine.metrics.protocol import Embedding, Needs
from lofi_engine.metrics.windows import cut_windows


class ClapScore(Scorer[float]):
    """Cosine of a clip's prompt and its sound, averaged over clips.

    A clip's sound is the mean of its windows' embeddings, each of length 1; the score is the
    cosine of that mean and the prompt's embedding, from -1 to 1. Figures of two checkpoints compare
    with nothing of each other: hold sets against each other with one of them.

    It claims none of the ladder's degradations: what it hears of them depends on the checkpoint.

    Args:
        embedding: the loaded model.
        sound: what embeds windows of sound with the same model, such as what remembers them for
            other metrics; the model itself if not given.
        seed: of the bootstrap.
    """

    name = "clap"
    title = "CLAP score: cosine of prompt and sound, -1 to 1; higher is better"
    needs = Needs(prompts=True, model="a CLAP model")

    def __init__(
        self, embedding: ClapEmbedding, *, sound: Embedding | None = None, seed: int = 0
    ) -> None:
        super().__init__(seed=seed)
        self._embedding = embedding
        self._sound = sound or embedding

    def check(self, clips: ClipSet) -> None:
        """Refuse clips without a prompt.

        Raises:
            MetricError: there are some; names them.
        """
        without = [name for name in clips.names if not clips.facts(name).prompt.strip()]
        if without:
            raise MetricError(
                f"{clips.label}: {plural(len(without), 'clip')} without a prompt: "
                f"{listed(without)}",
                hint="write each clip's prompt to NAME_prompt.txt beside it",
            )

    def score(self, clip: Clip) -> float:
        """Score one clip that has a prompt.

        Raises:
            MetricError: it is shorter than a window.
        """
        import numpy as np

        windows = cut_windows(clip, self._sound)
        sound = self._sound.embed(windows).mean(axis=0)
        text = self._embedding.embed_texts([clip.facts.prompt])[0]
        return float(text @ sound / np.linalg.norm(sound))

    def figures(self, clips: ClipSet, scores: Mapping[str, float]) -> tuple[Figure, ...]:
        """Give the mean score."""
        embedding = self._embedding
        prompts = {clips.facts(name).prompt for name in clips.names}
        figure = measure_each(
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
        return (figure,)
