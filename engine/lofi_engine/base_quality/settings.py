"""How much is measured, and with what: every figure's numbers follow from one, the clips."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from lofi_engine.errors import StageError
from lofi_runtime.pipeline.denoise import DenoiseSettings

FEWEST_CLIPS = 8
SHORTEST_SEC, LONGEST_SEC = 5, 60
INFERENCE_STEPS = 27
"""What players take where nothing is said."""


@dataclass(frozen=True)
class QualitySettings:
    """What all figures share.

    Args:
        clips: how many are generated for the distance; the other figures take shares of it.
        seed: of the noise, of what is drawn, and of the pieces that are added to the recipe's.
        duration_sec: of every clip.
        inference_steps: of denoising.

    Raises:
        StageError: a value is out of range; names it and what is allowed.
    """

    clips: int = 200
    seed: int = 0
    duration_sec: int = 10
    inference_steps: int = INFERENCE_STEPS

    def __post_init__(self) -> None:
        if self.clips < FEWEST_CLIPS:
            raise StageError(
                f"clips: {self.clips} say nothing, at least {FEWEST_CLIPS} are needed",
                hint="the figures of the card take 200",
            )
        if not SHORTEST_SEC <= self.duration_sec <= LONGEST_SEC:
            raise StageError(
                f"duration_sec: {self.duration_sec} is outside {SHORTEST_SEC} to {LONGEST_SEC}"
            )
        if not 1 <= self.inference_steps <= 200:
            raise StageError(f"inference_steps: {self.inference_steps} is outside 1 to 200")
        if self.seed < 0:
            raise StageError(f"seed: {self.seed} is below 0")

    @property
    def tracks(self) -> int:
        """How many tracks are encoded and decoded."""
        return max(self.clips // 5, 2)

    @property
    def untrained_clips(self) -> int:
        """How many clips each untrained base makes."""
        return max(self.clips // 4, FEWEST_CLIPS)

    @property
    def tempo_clips(self) -> int:
        """How many clips' tempo is heard."""
        return max(self.clips // 2, FEWEST_CLIPS)

    @property
    def pairs(self) -> int:
        """How many pairs of prompts there are for each tag."""
        return max(self.clips // 4, 2)

    @property
    def taught(self) -> int:
        """How many synthesised tracks a classifier learns of each answer."""
        return max(2 * self.clips // 5, FEWEST_CLIPS)

    @property
    def sung_clips(self) -> int:
        """How many prompts are sung, and how many clips there are of each style with a voice."""
        return max(self.clips // 8, 2)

    def noise_seed(self, purpose: str, number: int) -> int:
        """Give the seed of one clip's noise; other purposes and numbers have others."""
        return zlib.crc32(f"{self.seed}/{purpose}/{number}".encode()) % 2**31

    def stated(self) -> dict[str, int | float | str]:
        """Give what must be known to measure the same again, as JSON values."""
        asked = DenoiseSettings(inference_steps=self.inference_steps)
        return {
            "clips": self.clips,
            "seed": self.seed,
            "duration_sec": self.duration_sec,
            "inference_steps": self.inference_steps,
            "scheduler": asked.scheduler,
            "guidance": asked.guidance,
            "guidance_scale": asked.guidance_scale,
        }
