"""How many windows an embedding cuts sound into, without loading it.

Light: no torch; of a CLAP model only its configuration is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.metrics.fad import FEWEST_CLIPS
from lofi_engine.metrics.projection import FEWEST_DIRECTIONS, WINDOWS_A_DIMENSION
from lofi_engine.metrics.shelf import SOUND_EMBEDDING

FEWEST_TRACKS = FEWEST_CLIPS
"""One track is no picture of others of its kind."""
CLAP_DIMENSIONS = 512
CLAP_WINDOW_SEC = 10.0
"""Of every published CLAP model that its own files do not say otherwise of."""


@dataclass(frozen=True)
class Windowing:
    """How an embedding cuts sound.

    Args:
        name: as the recipe names the embedding.
        dimensions: of its vectors.
        window_sec: how long a window is.
        hop_sec: from one window to the next.
    """

    name: str
    dimensions: int
    window_sec: float
    hop_sec: float

    def count(self, duration_sec: float) -> int:
        """Count the whole windows of a clip."""
        if duration_sec < self.window_sec:
            return 0
        # A clip's last sample may be a rounding away from the window's.
        return 1 + math.floor((duration_sec - self.window_sec) / self.hop_sec + 1e-6)


def windowing_of(location: str, home: Path) -> Windowing:
    """Give an embedding's windows without loading it.

    Args:
        location: "lofi-sound-v1", or where a CLAP model is: `hf:owner/name` or a folder.
        home: where relative folders start.

    Raises:
        MetricError: the model is not there; names the command that fetches it.
    """
    if location == SOUND_EMBEDDING:
        from lofi_engine.metrics.embeddings.sound import SoundEmbedding

        sound = SoundEmbedding()
        return Windowing(sound.name, sound.dimensions, sound.window_sec, sound.hop_sec)
    from lofi_engine.metrics.embeddings.clap import HOP_SEC, KIND
    from lofi_engine.metrics.pretrained import find_model

    found = find_model(location, KIND, home)
    dimensions = found.config.get("projection_dim", CLAP_DIMENSIONS)
    return Windowing(location, int(dimensions), _clap_window_sec(found.folder), HOP_SEC)


def too_few(what: str, windows: int, windowing: Windowing, *, project: bool) -> str:
    """Say that there are too few windows, and how many are needed; "" where there are enough.

    Args:
        what: they are of, such as "50 pieces of 30 s".
        windows: how many.
        windowing: of the embedding.
        project: whether they may be projected to fewer dimensions.
    """
    least = FEWEST_DIRECTIONS if project else windowing.dimensions
    needed = WINDOWS_A_DIMENSION * least
    if windows >= needed:
        return ""
    if project:
        why = f"even a projection needs {needed}"
    else:
        why = f"the {windowing.dimensions} dimensions of {windowing.name} need {needed}"
    return f"{what} give {windows} windows of {windowing.window_sec:g} s, {why}"


def rendered_windows(seeds: int, duration_sec: int, windowing: Windowing) -> int:
    """Count the windows of one bundle's pieces."""
    return seeds * windowing.count(duration_sec)


def track_windows(durations_sec: Sequence[float], windowing: Windowing) -> int:
    """Count the windows of tracks."""
    return sum(windowing.count(duration_sec) for duration_sec in durations_sec)


def _clap_window_sec(folder: Path) -> float:
    try:
        stated = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
        return float(stated["nb_max_samples"] / stated["sampling_rate"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return CLAP_WINDOW_SEC
