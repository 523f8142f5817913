"""A checked recipe as frozen values. Built only by `load`; nothing else reads raw YAML.

Every default is stated once, in `schemas/recipe.v1.schema.json`; a test fails when these types and
the schema disagree. Field names are the recipe's own keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Base:
    """The model one starts from.

    `model` is `hf:owner/name`, `builtin:lofi-nano`, `builtin:tiny`, or a folder relative to the
    recipe.
    `lyric_vocabulary` is a path, an `hf:` location, or None for bases that carry their own.
    """

    family: str
    model: str
    revision: str
    lyric_vocabulary: str | None


@dataclass(frozen=True)
class Synth:
    """Tracks made by the built-in synthesiser."""

    tracks: int
    duration_sec: float
    styles: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """Where tracks come from: a folder with its ledger, or the synthesiser (one of the two)."""

    path: str | None
    ledger: str | None
    synth: Synth | None


@dataclass(frozen=True)
class Licenses:
    """The licence policy: what may enter the training set."""

    require_ai_training: bool
    allow: tuple[str, ...]
    require_evidence: bool = False


@dataclass(frozen=True)
class Quality:
    """What a track must measure, on the source, before any gain, and what is made of it.

    With `loudness_lufs` tracks are brought to that loudness instead of to `peak_dbfs`, which their
    true peaks then stay under. `window` says what is kept of a longer track: its "start" or its
    "best" stretch.
    """

    min_duration_sec: float
    max_duration_sec: float
    min_bitrate_kbps: int
    max_clipped: float
    max_silent: float
    peak_dbfs: float
    format: str
    window: str = "start"
    loudness_lufs: float | None = None


@dataclass(frozen=True)
class Budget:
    """What the data may cost, in US dollars."""

    max_usd: float


@dataclass(frozen=True)
class Dataset:
    """Which tracks, under which licences, of which quality.

    `duplicates` says whether of several near duplicates one enters ("refuse") or all ("keep").
    """

    sources: tuple[Source, ...]
    target_tracks: int | None
    licenses: Licenses
    quality: Quality
    styles: str | None
    duplicates: str
    holdout_share: float
    budget: Budget | None


@dataclass(frozen=True)
class Lora:
    """The adapter's shape. With `rslora` the scale is alpha / sqrt(r), else alpha / r.

    With `dora` each weight's magnitude is learned apart from its direction.
    """

    r: int
    alpha: float
    rslora: bool
    targets: tuple[str, ...]
    dora: bool = False


@dataclass(frozen=True)
class Sampling:
    """How training draws tracks, and which of a track's texts goes with each window.

    Every `by` group ("style" or "track") is drawn equally often. `recaption_share` of the windows
    take a caption where the track has any; with `shuffle_tags` the others take any order of the
    prompt's tags, else the written one.
    """

    by: str
    shuffle_tags: bool
    recaption_share: float


@dataclass(frozen=True)
class ConditionDropout:
    """How often each condition is dropped while training, for classifier-free guidance."""

    text: float
    lyric: float
    speaker: float


@dataclass(frozen=True)
class EarlyStop:
    """After how many checkpoints without a better held-out loss training ends."""

    checkpoints: int
    min_improvement: float


@dataclass(frozen=True)
class Ssl:
    """Which audio models' features the inner states are pulled towards, and how strongly."""

    mert: str
    mhubert: str
    coefficient: float


@dataclass(frozen=True)
class Training:
    """How the adapter is trained.

    `precision` is the arithmetic's, `base_precision` the frozen weights' in memory, and
    `latents_precision` the encoded tracks' on disk.
    """

    steps: int
    batch_size: int
    accumulate: int
    learning_rate: float
    warmup_steps: int
    precision: str
    clip_grad_norm: float
    window_sec: float
    checkpoint_every: int
    sample_every: int
    timestep_shift: float
    sampling: Sampling
    condition_dropout: ConditionDropout
    base_precision: str = "fp32"
    latents_precision: str = "fp16"
    gradient_checkpointing: bool = False
    optimizer: str = "adamw"
    processes: int = 1
    early_stop: EarlyStop | None = None
    ssl: Ssl | None = None


@dataclass(frozen=True)
class SelectWeights:
    """How much each term of a checkpoint's score counts; 0 leaves it out."""

    held_out_loss: float
    fad: float
    prompt: float
    ratings: float


@dataclass(frozen=True)
class Select:
    """How the best checkpoint is chosen.

    `clips`, `steps` and `duration_sec` are of the clips rendered where fad or prompt counts. `clap`
    is `hf:owner/name` or a folder, `ratings` a file; both relative to the recipe, None without.
    """

    weights: SelectWeights
    clips: int
    steps: int
    duration_sec: int
    clap: str | None
    ratings: str | None

    @property
    def renders(self) -> bool:
        """Whether clips are rendered from every checkpoint, which takes long."""
        return self.weights.fad > 0 or self.weights.prompt > 0


@dataclass(frozen=True)
class Calibration:
    """Prompts whose activations steer quantization."""

    prompts: int


@dataclass(frozen=True)
class Variant:
    """One precision of the finished model; `weights` is its nominal width (fp16, int8, int4)."""

    weights: str
    method: str
    block_size: int
    max_bytes: int | None
    keep_fp16: tuple[str, ...]


@dataclass(frozen=True)
class Gate:
    """A bound per variant on its distance from float32 at equal seeds."""

    bounds: Mapping[str, float]


@dataclass(frozen=True)
class FadGate:
    """A bound per variant on the relative increase of the Fréchet audio distance over float32's.

    `embedding` is "lofi-sound-v1" or a CLAP model: `hf:owner/name`, or a folder relative to the
    recipe. With `project` too few windows are projected to fewer dimensions, else refused.
    """

    embedding: str
    project: bool
    max_increase: Mapping[str, float]


@dataclass(frozen=True)
class ClapGate:
    """A bound per variant on the relative drop of the CLAP score under float32's.

    `model` is `hf:owner/name`, or a folder relative to the recipe.
    """

    model: str
    max_drop: Mapping[str, float]


@dataclass(frozen=True)
class Measure:
    """How variants are compared with float32 at equal seeds.

    `max_distance` bounds, per variant, the latent distance: root-mean-square difference over the
    float32 latents' standard deviation.
    """

    seeds: int
    steps: int
    duration_sec: float
    max_distance: Gate
    fad: FadGate | None
    clap: ClapGate | None


@dataclass(frozen=True)
class Publish:
    """Where the finished variants go: `hf:owner/name` or a folder relative to the recipe."""

    to: str
    model_name: str
    license: str


@dataclass(frozen=True)
class Execution:
    """What runs the work: `local` (process pool and one process) or `ray`."""

    engine: str
    workers: int
    threads: int


@dataclass(frozen=True)
class Recipe:
    """A whole recipe, checked.

    `path` is the file, `text` what the user wrote, `resolved` the plain mapping with every default
    filled in (JSON values only). `changes` has a line for everything in which these values differ
    from the text: overrides of the command line, what a rehearsal replaces.
    """

    path: Path
    text: str
    resolved: Mapping[str, object]
    version: int
    name: str
    release: str
    description: str
    seed: int
    base: Base
    dataset: Dataset
    lora: Lora
    training: Training
    select: Select
    calibration: Calibration
    variants: Mapping[str, Variant]
    measure: Measure
    publish: Publish
    execution: Execution
    changes: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """The folder the recipe lies in: where its relative paths start and `runs/` is made."""
        return self.path.parent
