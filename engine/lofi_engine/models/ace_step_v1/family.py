"""The ACE-Step v1 family: where a base is found, and how it is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1 import builtin, hub
from lofi_engine.models.family import Base
from lofi_engine.models.outline import Outline

if TYPE_CHECKING:
    from lofi_engine.models.ace_step_v1.configurations import Configs
    from lofi_engine.models.training_outline import TrainingOutline

HUB = "hf:"
FRAMES_PER_SEC = 44100 / 4096
"""Latent frames of a second."""


class AceStepV1:
    """Loads ACE-Step v1 bases; see `lofi_engine.models.family.Family`."""

    name = "ace-step-v1"

    def definition(self, model: str, revision: str) -> str:
        """Give a built-in base's number, or the commit that a Hub revision names here."""
        if model.startswith(HUB):
            return hub.local_commit(model.removeprefix(HUB), revision)
        return builtin.DEFINITIONS.get(model, revision)

    def vocabulary_definition(self, location: str | None) -> str | None:
        """Pin a vocabulary on the Hub to the commit that its main branch names here."""
        if location is None or not location.startswith(HUB) or "@" in location:
            return location
        repository = "/".join(location.removeprefix(HUB).split("/")[:2])
        return f"{location}@{hub.local_commit(repository, 'main')}"

    def load(
        self,
        model: str,
        *,
        revision: str,
        lyric_vocabulary: str | None,
        home: Path,
        precision: str = "fp32",
        transformer: Path | None = None,
    ) -> Base:
        """Load a built-in base, `hf:owner/name` from the Hub's local cache, or a folder.

        Args:
            model: which base; a folder is relative to `home`.
            revision: of a Hub repository; ignored for the others.
            lyric_vocabulary: a file relative to `home`, `hf:owner/name/FILE` or
                `hf:owner/name/FILE@COMMIT`; None for the base's own. The built-in bases always
                use their own.
            home: where relative paths start.
            precision: of the weights, "fp32", "fp16" or "bf16".
            transformer: weights that stand in for the base's own transformer's, relative to
                `home`: a safetensors file, an index of shards, or a folder with either.

        Raises:
            StageError: it is not there or not of this family; says where it was looked for.
        """
        transformer = None if transformer is None else home / transformer
        if model.startswith(builtin.PREFIX):
            return _load_builtin(model, precision, transformer)
        from lofi_engine.models.ace_step_v1.checkpoint import load

        vocabulary = _vocabulary(lyric_vocabulary, home)
        folder, identity = home / model, None
        if model.startswith(HUB):
            folder = hub.local_snapshot(model.removeprefix(HUB), revision)
            identity = f"{model}@{folder.name}"
        return load(
            folder,
            identity=identity,
            lyric_vocabulary=vocabulary,
            precision=precision,
            transformer=transformer,
        )

    def config_of(self, base: Base) -> Mapping[str, Any]:
        """Give the configuration of each network, as JSON values by folder name.

        Raises:
            StageError: the base is of another family.
        """
        from lofi_engine.models.ace_step_v1.base import AceStepBase
        from lofi_engine.models.ace_step_v1.checkpoint import configs_by_folder

        if not isinstance(base, AceStepBase):
            raise StageError(f"{base.identity} is not a base of the family {self.name}")
        return configs_by_folder(base)

    def pipeline_config(self, base: Base) -> Mapping[str, Any]:
        """Give the figures a runtime needs, as `PipelineConfig` names them.

        Raises:
            StageError: the base is of another family.
        """
        from dataclasses import asdict

        from lofi_engine.models.ace_step_v1.published import TEXT, TRANSFORMER
        from lofi_runtime.manifest import PipelineConfig

        configs = self.config_of(base)
        figures = PipelineConfig(
            text_width=configs[TEXT]["d_model"],
            speaker_width=base.speaker_width,
            context_width=configs[TRANSFORMER]["inner_dim"],
            sample_rate=base.sample_rate,
            model=configs,
        )
        return asdict(figures)

    def outline(self, model: str, *, revision: str, home: Path) -> Outline:
        """List the weights of a base's graphs from its configuration alone.

        Read from the base's own config.json files where they are; for a Hub base that is not in
        the cache, the published configuration, if it is the published base.

        Raises:
            StageError: the base's configuration is not known here, or not of this family.
        """
        from lofi_engine.models.ace_step_v1 import parameters

        configs, source = _configs(model, revision, home)
        with _refusing_others(self.name, model):
            return parameters.outline(configs, source)

    def training_outline(self, model: str, *, revision: str, home: Path) -> TrainingOutline:
        """Say what training an adapter keeps in memory, from the configuration as in `outline`.

        Raises:
            StageError: the base's configuration is not known here, or not of this family.
        """
        from functools import partial

        from lofi_engine.models.ace_step_v1 import parameters
        from lofi_engine.models.ace_step_v1.activations import activations
        from lofi_engine.models.ace_step_v1.config import TransformerConfig
        from lofi_engine.models.ace_step_v1.published import TRANSFORMER
        from lofi_engine.models.training_outline import TrainingOutline

        configs, source = _configs(model, revision, home)
        with _refusing_others(self.name, model):
            config = TransformerConfig.from_mapping(configs[TRANSFORMER])
            weights = parameters.transformer_weights(config)
        return TrainingOutline(source, weights, FRAMES_PER_SEC, partial(activations, config))


def _load_builtin(model: str, precision: str, transformer: Path | None) -> Base:
    builtin.check_builtin(model)
    from lofi_engine.models.ace_step_v1 import checkpoint

    if model == builtin.NANO:
        return checkpoint.load(
            builtin.NANO_FOLDER,
            identity=builtin.identity_of(model),
            precision=precision,
            transformer=transformer,
        )
    from lofi_engine.models.ace_step_v1.config import TransformerConfig
    from lofi_engine.models.ace_step_v1.tiny import build_others, build_tiny

    base = build_tiny()
    base.read_others = lambda: checkpoint.set_others_precision(build_others(), precision)
    if transformer is not None:
        config = TransformerConfig.from_mapping(base.configs.transformer)
        base.transformer = checkpoint.load_transformer(config, transformer, precision)
    return checkpoint.set_precision(base, precision)


def _configs(model: str, revision: str, home: Path) -> tuple[Configs, str]:
    """Give a base's configuration, and which it is."""
    from lofi_engine.models.ace_step_v1 import configurations

    if model.startswith(builtin.PREFIX):
        builtin.check_builtin(model)
        return configurations.builtin_configs(model), f"the configuration of {model}"
    if model.startswith(HUB):
        return configurations.hub_configs(model.removeprefix(HUB), revision)
    return configurations.folder_configs(home / model), f"the configuration in {model}"


@contextmanager
def _refusing_others(family: str, model: str) -> Iterator[None]:
    """Say of what a configuration makes fail that it is not of this family."""
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise StageError(
            f"base.model: the configuration of {model} is not of the family {family}: {error}"
        ) from error


def _vocabulary(location: str | None, home: Path) -> str | None:
    """Read the lyric vocabulary a recipe names."""
    if location is None:
        return None
    from lofi_engine.models.ace_step_v1.checkpoint import read_vocabulary

    if location.startswith(HUB):
        return read_vocabulary(hub.local_file(location.removeprefix(HUB)))
    return read_vocabulary(home / location)
