"""Makes a backend by name. Heavy imports happen here, inside the functions: worker only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lofi_runtime.backend import Backend, Progress


@dataclass(frozen=True)
class BackendChoice:
    """Which backend, with what; equal choices are one loaded backend.

    A bundle that was published anew in the same folder is another choice: its identity differs.

    Args:
        type: "procedural" or "ace_step".
        folder: the bundle's, or None.
        is_verified: whether the bundle's files are checked against its manifest.
        threads: processor threads a model may use.
        model_identity: of the bundle's content (`Bundle.identity`); "" for no bundle.
    """

    type: str
    folder: Path | None = None
    is_verified: bool = True
    threads: int = 1
    model_identity: str = ""


Factory = Callable[[BackendChoice, Progress], Backend]
"""Makes a backend; reports the stages "verify" and "load", so that loading can be cancelled."""


def make_procedural(_choice: BackendChoice, _progress: Progress) -> Backend:
    """Make the built-in synthesiser."""
    # The synthesiser loads these when it first plays; a worker loads them before it is asked.
    import scipy.ndimage
    import scipy.signal  # noqa: F401

    import lofi_runtime.synth.rendering  # noqa: F401
    from lofi_runtime.synth.backend import ProceduralBackend

    return ProceduralBackend()


def make_ace_step(choice: BackendChoice, progress: Progress) -> Backend:
    """Open a bundle, checking its files, and load all of it.

    Raises:
        BundleError: the folder is damaged, not a bundle, or not the bundle that was chosen.
        BackendError: a graph or a tokenizer cannot be loaded.
        GenerationCancelled: `progress` said so.
    """
    from lofi_runtime.ace_step import AceStepBackend
    from lofi_runtime.bundle import open_bundle
    from lofi_runtime.errors import BackendError, BundleError

    if choice.folder is None:
        raise BackendError("backend 'ace_step' needs a bundle's folder")
    bundle = open_bundle(
        choice.folder,
        verify=choice.is_verified,
        on_bytes=lambda done, total: progress("verify", done >> 20, total >> 20),
    )
    if bundle.identity != choice.model_identity:
        raise BundleError(
            f"{choice.folder}: another bundle was put here since the track was asked for",
            hint="ask again",
        )
    backend = AceStepBackend(bundle, threads=choice.threads)
    backend.load(progress)
    return backend


FACTORIES: Mapping[str, Factory] = {"procedural": make_procedural, "ace_step": make_ace_step}
