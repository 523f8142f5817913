"""Which variant a request gets that names none, and what it is told of those passed over."""

from __future__ import annotations

from pathlib import Path

from lofi_runtime.choosing import RETRY_AFTER_SEC, Failures, choose, order
from lofi_runtime.manifest import Speed
from lofi_runtime.sources import Source

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def variant(precision: str, size_bytes: int = 0, **measured: float) -> Source:
    return Source(
        "ace_step",
        f"lofi-{precision} 1",
        5,
        240,
        folder=Path(f"lofi-{precision}"),
        precision=precision,
        model="lofi",
        size_bytes=size_bytes,
        measured={provider: Speed(ratio) for provider, ratio in measured.items()},
        looks=frozenset({("manifest.json", 1, 1)}),
    )


def precisions(sources: list[Source]) -> list[str]:
    return [source.precision for source in sources]


def test_the_variant_measured_as_fastest_on_this_provider_goes_first() -> None:
    sources = [
        variant("int8-fast", CPUExecutionProvider=0.9, CUDAExecutionProvider=0.3),
        variant("int4", CPUExecutionProvider=0.5, CUDAExecutionProvider=0.4),
        variant("fp16", CPUExecutionProvider=0.7, CUDAExecutionProvider=0.1),
    ]
    assert precisions(order(sources, "cpu")) == ["int4", "fp16", "int8-fast"]
    assert precisions(order(sources, "cuda")) == ["fp16", "int8-fast", "int4"]


def test_figures_of_some_variants_only_are_not_compared() -> None:
    sources = [variant("int4", CPUExecutionProvider=0.1), variant("int8"), variant("int8-fast")]
    assert precisions(order(sources, "cpu")) == ["int8-fast", "int8", "int4"]


def test_a_variant_that_failed_is_passed_over_and_the_listener_is_told() -> None:
    failures = Failures()
    failures.add(variant("int8-fast"), "vocoder.onnx is damaged")
    chosen = choose([variant("int8-fast"), variant("int8")], failures, None)
    assert chosen.precision == "int8"
    assert chosen.notes == (
        "int8-fast failed: vocoder.onnx is damaged",
        "int8 is used instead",
    )


def test_a_failure_is_forgotten_when_the_files_change_and_after_a_while() -> None:
    now = 0.0
    failures = Failures(clock=lambda: now)
    failures.add(variant("int8"), "killed")
    assert failures.reason(variant("int8")) == "killed"
    pulled_again = Source(
        **{**vars(variant("int8")), "looks": frozenset({("manifest.json", 1, 2)})}
    )
    assert failures.reason(pulled_again) == ""
    now = RETRY_AFTER_SEC
    assert failures.reason(variant("int8")) == ""


def test_a_variant_that_memory_has_no_room_for_is_passed_over() -> None:
    sources = [variant("fp16", 6_000_000_000), variant("int8", 3_300_000_000), variant("int4", 10)]
    chosen = choose(sources, Failures(), 8_000_000_000)
    assert chosen.precision == "int8"
    assert chosen.notes[0] == "fp16 needs about 13.8 GB of memory, 8.0 GB are free"


def test_if_nothing_fits_the_smallest_is_tried() -> None:
    chosen = choose([variant("fp16", 900), variant("int4", 500)], Failures(), 10)
    assert (chosen.precision, chosen.notes[-1]) == ("int4", "int4 is used instead")


def test_where_nobody_knows_the_memory_everything_fits() -> None:
    chosen = choose([variant("fp16", 10**15)], Failures(), None)
    assert (chosen.precision, chosen.notes) == ("fp16", ())


def test_when_every_variant_failed_the_best_is_tried_again() -> None:
    failures = Failures()
    for precision in ("int8", "int4"):
        failures.add(variant(precision), f"{precision} is broken")
    chosen = choose([variant("int8"), variant("int4")], failures, None)
    assert (chosen.precision, chosen.notes) == ("int8", ())


def test_a_preferred_precision_goes_first_and_is_missed_by_name() -> None:
    sources = [variant("int8-fast"), variant("fp16")]
    assert choose(sources, Failures(), None, "fp16").precision == "fp16"
    chosen = choose(sources, Failures(), None, "int4")
    assert chosen.notes == ("precision int4 is not installed", "int8-fast is used instead")
