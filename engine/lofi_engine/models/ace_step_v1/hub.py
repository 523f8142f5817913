"""Bases in the Hub's local cache. Nothing is downloaded here: a stage never waits for gigabytes."""

from __future__ import annotations

from pathlib import Path

from lofi_engine.errors import StageError


def local_snapshot(repository: str, revision: str) -> Path:
    """Find the snapshot of `repository` ("owner/name"); its folder is named after its commit.

    Raises:
        StageError: it is not in the cache, or the name is not a repository's.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise StageError(
            f"base.model: {repository} at revision {revision} is not in the Hub's cache "
            f"({_cache()})",
            hint=f"fetch it with: hf download {repository} --revision {revision}",
        ) from error
    except HFValidationError as error:
        raise StageError(f"base.model: '{repository}' is not a Hub repository: {error}") from error


def local_commit(repository: str, revision: str) -> str:
    """Give the commit that `revision` names in the local cache; `revision` itself if it is not."""
    from huggingface_hub import constants

    folder = f"models--{repository.replace('/', '--')}"
    try:
        ref = Path(constants.HF_HUB_CACHE) / folder / "refs" / revision
        return ref.read_text(encoding="utf-8").strip() or revision
    except (OSError, UnicodeDecodeError):
        return revision


def local_file(location: str) -> Path:
    """Find one file, `owner/name/path/in/it`, of a repository: its main revision, or `...@COMMIT`.

    Raises:
        StageError: it is not in the cache, or the location has not three parts.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    place, _, revision = location.partition("@")
    owner, _, rest = place.partition("/")
    name, _, file = rest.partition("/")
    if not (owner and name and file):
        raise StageError(
            f"base.lyric_vocabulary: 'hf:{location}' names no file",
            hint="write hf:owner/name/FILE",
        )
    repository = f"{owner}/{name}"
    try:
        found = hf_hub_download(repository, file, revision=revision or None, local_files_only=True)
        return Path(found)
    except LocalEntryNotFoundError as error:
        raise StageError(
            f"base.lyric_vocabulary: {file} of {repository} is not in the Hub's cache ({_cache()})",
            hint=f"fetch it with: hf download {repository} {file}",
        ) from error
    except HFValidationError as error:
        raise StageError(
            f"base.lyric_vocabulary: '{repository}' is not a Hub repository: {error}"
        ) from error


def _cache() -> str:
    from huggingface_hub import constants

    return constants.HF_HUB_CACHE
