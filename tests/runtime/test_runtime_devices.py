"""Devices by the names people give, and what ONNX Runtime is asked for."""

from __future__ import annotations

import pytest

from lofi_runtime.devices import DEVICES, provider_for, providers_for
from lofi_runtime.errors import BackendError

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
COREML, DIRECTML = "CoreMLExecutionProvider", "DmlExecutionProvider"


def test_auto_takes_the_graphics_card_where_there_is_one() -> None:
    assert providers_for("auto", ["TensorrtExecutionProvider", CUDA, CPU]) == [CUDA, CPU]
    assert providers_for("auto", [DIRECTML, CPU]) == [DIRECTML, CPU]
    assert providers_for("auto", [COREML, "AzureExecutionProvider", CPU]) == [CPU]


def test_a_named_device_is_taken_with_the_processor_behind_it() -> None:
    assert providers_for("coreml", [COREML, CPU]) == [COREML, CPU]
    assert providers_for("cpu", [CUDA, CPU]) == [CPU]


def test_a_device_that_is_not_offered_is_refused_with_what_to_install() -> None:
    with pytest.raises(BackendError) as caught:
        providers_for("cuda", [CPU])
    assert caught.value.message.endswith("'cuda' is not offered by the ONNX Runtime installed"
                                         " here, only cpu")  # fmt: skip
    assert "onnxruntime-gpu" in caught.value.hint
    with pytest.raises(BackendError, match=f"'tpu' is not one of {', '.join(DEVICES)}"):
        providers_for("tpu", [CPU])


def test_a_variant_is_chosen_by_the_provider_it_will_run_with() -> None:
    assert provider_for("directml") == DIRECTML
    assert provider_for("auto") == CPU  # of the packages a test environment has
