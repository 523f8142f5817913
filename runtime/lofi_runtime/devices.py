"""Which device a model runs on: the names people give, and ONNX Runtime's execution providers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution

from lofi_runtime.errors import BackendError

AUTO, CPU, CUDA, COREML, DIRECTML = "auto", "cpu", "cuda", "coreml", "directml"
DEVICES = (AUTO, CPU, CUDA, COREML, DIRECTML)
PROVIDERS = {
    CUDA: "CUDAExecutionProvider",
    DIRECTML: "DmlExecutionProvider",
    COREML: "CoreMLExecutionProvider",
    CPU: "CPUExecutionProvider",
}
"""Best first. CoreML is taken on request or where a bundle was measured with it: it compiles every
shape anew, and a track has as many shapes as durations."""
NAMES = {provider: device for device, provider in PROVIDERS.items()}

_PACKAGES = {CUDA: "onnxruntime-gpu", DIRECTML: "onnxruntime-directml"}


@cache
def likely_devices() -> tuple[str, ...]:
    """Give the devices that the installed packages can use, without importing ONNX Runtime.

    A server chooses a variant by this; whether the device works is seen when the model is loaded.
    """
    found = [device for device, package in _PACKAGES.items() if _is_installed(package)]
    if sys.platform == "darwin":
        found.append(COREML)
    return (*found, CPU)


def provider_for(device: str, measured: Sequence[str] = ()) -> str:
    """Give the execution provider a variant is expected to run with.

    Args:
        device: one of `DEVICES`.
        measured: the providers that its manifest has figures of.
    """
    if device != AUTO:
        return PROVIDERS[device]
    for name in likely_devices():
        if name != COREML or PROVIDERS[COREML] in measured:
            return PROVIDERS[name]
    return PROVIDERS[CPU]


def providers_for(device: str, available: Sequence[str]) -> list[str]:
    """Give the execution providers to load graphs with, best first; the CPU's is always last.

    Args:
        device: one of `DEVICES`; "auto" takes CUDA or DirectML where there is one.
        available: what the installed ONNX Runtime offers.

    Raises:
        BackendError: the device was asked for by name and is not offered.
    """
    if device not in DEVICES:
        raise BackendError(f"device {device!r} is not one of {', '.join(DEVICES)}")
    if device == AUTO:
        wanted = [PROVIDERS[name] for name in (CUDA, DIRECTML)]
        return [*(name for name in wanted if name in available), PROVIDERS[CPU]]
    if PROVIDERS[device] not in available:
        here = ", ".join(NAMES[name] for name in available if name in NAMES)
        raise BackendError(
            f"device '{device}' is not offered by the ONNX Runtime installed here, only {here}",
            hint=_how_to_get(device),
        )
    return list(dict.fromkeys((PROVIDERS[device], PROVIDERS[CPU])))


def _how_to_get(device: str) -> str:
    if device in _PACKAGES:
        return f"pip uninstall onnxruntime; pip install {_PACKAGES[device]}; or take --device cpu"
    return "take --device cpu; CoreML comes with ONNX Runtime for macOS alone"


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
