"""A release for tests: figures by hand, the graphs of the tiny bundle."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lofi_engine.publishing.facts import Release
from lofi_engine.recipe.model import Base
from lofi_runtime.manifest import PipelineConfig
from tests.support import tiny_bundle

RECIPE = "version: 1  # as written\nname: small\n"


def make_record(weights: str = "int8", **changes: Any) -> dict[str, Any]:
    """What quantize records of a variant, as far as publishing reads it."""
    record = {
        "asked": {"weights": weights},
        "total_bytes": 3_260_000,
        "sizes": {"transformer_decoder": 2_600_000, "vocoder": 660_000},
        "coverage_total": 0.987654,
        "oldest_onnxruntime": "1.20",
        "newest_onnxruntime": "1.32.0",
        "opset": 21,
        "widths": {"transformer_decoder": {"8": 900, "16": 100}},
        "operators": {
            "transformer_decoder": {"MatMulInteger": {"bytes": 1100, "widths": {"8": 900}}}
        },
    }
    return record | changes


def make_measure(mean: float = 0.0204, ratio: float | None = 0.5) -> dict[str, Any]:
    """What measure found of a variant."""
    quality = {
        "seeds": 2,
        "steps": 4,
        "duration_sec": 5,
        "latent_distance": {"mean": mean, "max": 2 * mean, "each": [mean, mean]},
    }
    speed = {"CPUExecutionProvider": {"render_time_ratio": ratio, "steps": 4}} if ratio else {}
    return {"quality": quality, "measured": speed}


def make_release(**changes: Any) -> Release:
    """A release of two variants, "fp16" and "int8", of the tiny base."""
    config = PipelineConfig(
        text_width=tiny_bundle.TEXT_WIDTH,
        speaker_width=tiny_bundle.SPEAKER_WIDTH,
        context_width=tiny_bundle.CONTEXT_WIDTH,
        min_duration_sec=1,
    )
    values: dict[str, Any] = {
        "model_name": "lofi-small",
        "version": "0.1.0",
        "license": "apache-2.0",
        "description": "Small beats.",
        "base": Base("ace-step-v1", "builtin:tiny", "1", None),
        "identity": "builtin:tiny@1",
        "pipeline": asdict(config),
        "recipe_text": RECIPE,
        "changes": (),
        "is_rehearsal": False,
        "git_revision": "",
        "ledger": {
            "tracks": 3,
            "duration_sec": 5400.0,
            "licenses": {"cc-by-4.0": 1, "cc0": 2},
            "sha256": "0" * 64,
        },
        "attributions": ("Rain by A. Person, CC BY 4.0",),
        "records": {"fp16": make_record("fp16"), "int8": make_record()},
        "measures": {"fp16": make_measure(0.0005, None), "int8": make_measure()},
    }
    return Release(**(values | changes))
