"""Pretrained models that metrics listen with: found in a folder or the Hub's cache, and loaded.

Nothing is downloaded, only safetensors are read, and no code that lies beside them is run.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lofi_engine.errors import MetricError, StageError

HUB = "hf:"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
_LOCATION = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_UNUSED_WHEN_LISTENING = ("masked_spec_embed",)  # covers what is hidden from a model in training
_FEWEST_TOKENS = 2
_BESIDE = "preprocessor_config.json and the tokenizer's files belong beside the weights"
_AGAIN = "fetch it again, or name another"


@dataclass(frozen=True)
class FoundModel:
    """A model's files on this machine; nothing of it is loaded yet.

    Args:
        folder: where they lie.
        location: as it was named, such as "hf:laion/clap-htsat-unfused".
        commit: of a Hub repository; "" for a folder.
        kind: what it is wanted as, such as "CLAP model", for errors.
    """

    folder: Path
    location: str
    commit: str
    kind: str

    @cached_property
    def name(self) -> str:
        """Who it is, in short: `owner/name@COMMIT`, or `folder@HASH` of its weights."""
        if self.commit:
            return f"{self.location.removeprefix(HUB).partition('@')[0]}@{self.commit[:8]}"
        digest = hashlib.sha256()
        for file in self.weights:
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        return f"{self.folder.resolve().name}@{digest.hexdigest()[:8]}"

    @cached_property
    def weights(self) -> tuple[Path, ...]:
        """The safetensors files, the index of shards among them.

        Raises:
            MetricError: there are none, or only pickles.
        """
        from lofi_engine.models.weight_files import weight_files

        try:
            files = weight_files(self.folder, WEIGHTS)
        except StageError as error:
            raise MetricError(f"{self.kind}: {error.message}", hint=error.hint) from error
        for file in files:
            if not file.is_file():
                raise MetricError(f"{self.kind}: {file} is not there", hint=self._again())
        return files

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """What config.json says.

        Raises:
            MetricError: it is missing or no JSON object.
        """
        file = self.folder / CONFIG
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise MetricError(f"{self.kind}: {file} is not there", hint=self._again()) from error
        except (OSError, ValueError) as error:
            raise MetricError(f"{file}: cannot be read: {error}", hint=self._again()) from error
        if not isinstance(config, dict):
            raise MetricError(f"{file}: holds no JSON object", hint=self._again())
        return config

    def refuse_damage(self) -> None:
        """Read the weights' headers, not their data.

        Raises:
            MetricError: a file is missing, damaged, or a pickle under another name.
        """
        from lofi_engine.models.weight_files import read_headers

        try:
            read_headers(self.weights)
        except StageError as error:
            raise MetricError(f"{self.kind}: {error.message}", hint=error.hint) from error

    def _again(self) -> str:
        if not self.commit:
            return "name a folder that holds a whole model"
        repository = self.location.removeprefix(HUB).partition("@")[0]
        return f"fetch it with: hf download {repository} --revision {self.commit}"


def find_model(location: str | Path, kind: str, home: Path | None = None) -> FoundModel:
    """Find a model's files without loading or downloading anything; needs no torch.

    Args:
        location: a folder, or `hf:owner/name`, `hf:owner/name@REVISION` in the Hub's local cache.
        kind: what it is wanted as, such as "CLAP model", for errors.
        home: where a relative folder starts; None for the working folder.

    Raises:
        MetricError: it is not there; names the command that fetches it. Or it has no config.json,
            or no safetensors.
    """
    text = str(location)
    if text.startswith(HUB):
        folder = _snapshot(text, kind)
        found = FoundModel(folder, text, folder.name, kind)
    else:
        folder = (home or Path()) / location
        if not folder.is_dir():
            raise MetricError(
                f"{kind}: the folder {folder} is not there",
                hint="name a folder, or hf:owner/name for one in the Hub's cache",
            )
        found = FoundModel(folder, text, "", kind)
    _ = found.config, found.weights
    return found


def load_model(found: FoundModel, cls: Any) -> Any:
    """Load a transformers model in float32, ready to listen, every weight from its file.

    Args:
        found: where it lies.
        cls: a class with `from_pretrained`, such as `transformers.ClapModel`.

    Raises:
        MetricError: the files are damaged or of another model, or weights are missing from them:
            those would be random numbers.
    """
    import torch
    from safetensors import SafetensorError

    found.refuse_damage()
    try:
        with quiet():
            model, info = cls.from_pretrained(
                found.folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise MetricError(
            f"{found.kind}: {found.folder} cannot be loaded: {_first_line(error)}", hint=_AGAIN
        ) from error
    _refuse_missing(found, model, info["missing_keys"])
    return model.eval()


def load_extractor(found: FoundModel) -> Any:
    """Load the feature extractor that lies beside a model's weights.

    Raises:
        MetricError: its file is missing or damaged.
    """
    from transformers import AutoFeatureExtractor

    return _load_beside(found, AutoFeatureExtractor, "feature extractor")


def load_tokenizer(found: FoundModel) -> Any:
    """Load the tokenizer that lies beside a model's weights.

    Raises:
        MetricError: its files are missing or damaged. Where they are missing transformers makes
            one up that knows no words.
    """
    from transformers import AutoTokenizer

    tokenizer = _load_beside(found, AutoTokenizer, "tokenizer")
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) < _FEWEST_TOKENS:
        raise MetricError(
            f"{found.kind}: {found.folder} has a tokenizer without words", hint=_BESIDE
        )
    return tokenizer


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing: what matters of it is raised as an error here."""
    from transformers.utils import logging

    had_bar, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bar:
            logging.enable_progress_bar()


def do_without_broken_torchaudio() -> None:
    """Keep transformers from importing a torchaudio that cannot be imported.

    It comes with `audiobox-aesthetics` and often does not fit the installed torch; nothing here
    uses it, yet transformers imports it wherever it is installed, and fails with it.
    """
    if "torchaudio" in sys.modules:
        return
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError, AttributeError):
        sys.modules["torchaudio"] = None  # type: ignore[assignment]
        from transformers.utils import import_utils

        if hasattr(import_utils.is_torchaudio_available, "cache_clear"):  # it may be cached
            import_utils.is_torchaudio_available.cache_clear()


def _load_beside(found: FoundModel, cls: Any, what: str) -> Any:
    try:
        with quiet():
            return cls.from_pretrained(found.folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise MetricError(
            f"{found.kind}: no {what} can be loaded from {found.folder}: {_first_line(error)}",
            hint=_BESIDE,
        ) from error


def _snapshot(location: str, kind: str) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repository, _, revision = location.removeprefix(HUB).partition("@")
    if not _LOCATION.fullmatch(repository):
        raise MetricError(f"{kind}: '{location}' names no repository", hint="write hf:owner/name")
    try:
        return Path(snapshot_download(repository, revision=revision or None, local_files_only=True))
    except LocalEntryNotFoundError as error:
        wanted = f" --revision {revision}" if revision else ""
        raise MetricError(
            f"{kind}: {repository}{f' at {revision}' if revision else ''} is not in the Hub's "
            f"cache ({constants.HF_HUB_CACHE})",
            hint=f"fetch it with: hf download {repository}{wanted}",
        ) from error
    except HFValidationError as error:
        raise MetricError(f"{kind}: '{location}' names no repository: {error}") from error


def _refuse_missing(found: FoundModel, model: Any, missing: Any) -> None:
    """Refuse a model whose file lacks weights: transformers draws those at random."""
    learned = {name for name, _ in model.named_parameters()}
    random = sorted(
        name
        for name in missing
        if (name in learned or "running_" in name) and not name.endswith(_UNUSED_WHEN_LISTENING)
    )
    if random:
        more = f" and {len(random) - 1} more" if len(random) > 1 else ""
        raise MetricError(
            f"{found.kind}: {found.folder} lacks the weights {random[0]}{more}, which would be "
            "random numbers",
            hint="its file was made for other software, or is of another model",
        )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
