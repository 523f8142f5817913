"""What every metric and every embedding offers, so that all of them are used in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lofi_engine.metrics.clips import ClipSet
from lofi_engine.metrics.figures import Difference, Figure

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Report = Callable[[int, int, str], None]
"""Called with what is done, of how many, and the clip's name."""


@dataclass(frozen=True)
class Needs:
    """What a metric cannot do without.

    Args:
        reference: a set to hold the judged one against.
        pairs: a clip of the same name, length, sample rate and seed in the reference.
        prompts: the clips' prompts.
        styles: the clips' styles.
        lyrics: the clips' lyrics.
        latents: the latents the clips were decoded from.
        model: what it is told to load, such as "a CLAP model"; "" for none.
        extra: the optional dependency it is installed with; "" for none.
    """

    reference: bool = False
    pairs: bool = False
    prompts: bool = False
    styles: bool = False
    lyrics: bool = False
    latents: bool = False
    model: str = ""
    extra: str = ""


class Metric(Protocol):
    """Measures sets of clips; refuses what would give a number that means nothing.

    Attributes:
        name: as it is written on the command line, such as "fad".
        title: one line for people: what it says and which way is better.
        needs: what it cannot do without.
        sees: the degradations of the ladder that it claims to rank (`metrics.ladder`).
    """

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        ...

    @property
    def title(self) -> str:
        """What it says, in one line."""
        ...

    @property
    def needs(self) -> Needs:
        """What it cannot do without."""
        ...

    @property
    def sees(self) -> frozenset[str]:
        """The degradations it claims to rank."""
        ...

    def measure(
        self, judged: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Figure, ...]:
        """Measure a set; most metrics give one figure.

        Args:
            judged: what is measured.
            against: the reference set; None where `needs.reference` is false.
            report: called after every clip.

        Raises:
            MetricError: silence, NaN, too few windows, no reference, a collapsed model: whatever
                would make the figure meaningless. Names the set, the clip and what to do.
        """
        ...

    def compare(
        self, first: ClipSet, second: ClipSet, against: ClipSet | None, report: Report
    ) -> tuple[Difference, ...]:
        """Compare two sets made from the same prompts and seeds, by paired bootstrap.

        Args:
            first: what is judged, such as a variant's clips.
            second: what it is compared with, such as float32's.
            against: the reference set both are held against.
            report: called after every clip.

        Raises:
            MetricError: as `measure`; also names or seeds that do not match.
        """
        ...


class Embedding(Protocol):
    """Turns windows of sound into vectors.

    Attributes:
        name: with its version, such as "clap:laion/clap-htsat-unfused@1a2b3c".
        dimensions: of a vector.
        sample_rate: in Hz, that windows are resampled to.
        channels: 1 or 2, that windows are folded to.
        window_sec: how long a window is.
        hop_sec: from one window to the next.
    """

    @property
    def name(self) -> str:
        """With its version."""
        ...

    @property
    def dimensions(self) -> int:
        """Of a vector."""
        ...

    @property
    def sample_rate(self) -> int:
        """Of the windows, in Hz."""
        ...

    @property
    def channels(self) -> int:
        """Of the windows."""
        ...

    @property
    def window_sec(self) -> float:
        """How long a window is."""
        ...

    @property
    def hop_sec(self) -> float:
        """From one window to the next."""
        ...

    def embed(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Embed windows.

        Args:
            windows: float32 (windows, channels, samples) at `sample_rate`.

        Returns:
            float64 (windows, dimensions), finite.
        """
        ...
