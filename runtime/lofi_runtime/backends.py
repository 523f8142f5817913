"""Makes a backend by name. Heavy imports happen here, inside the functions: worker only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lofi_runtime.backend import Backend, Progress
from lofi_runtime.sources import BackendChoice

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
    providers = _providers(choice.device)
    backend = AceStepBackend(bundle, threads=choice.threads, providers=providers)
    backend.load(progress)
    return backend


def _providers(device: str) -> list[str]:
    """Give the execution providers for a device.

    Raises:
        BackendError: ONNX Runtime offers no such device here.
    """
    import onnxruntime

    from lofi_runtime.devices import providers_for

    return providers_for(device, onnxruntime.get_available_providers())


FACTORIES: Mapping[str, Factory] = {"procedural": make_procedural, "ace_step": make_ace_step}
