"""Makes the built-in nano's int8 variant as a bundle the runtime opens: `nano_int8.py FOLDER`.

By the recipe's own stages, without measuring it: what plays it needs no figures.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from bench_nano import VARIANTS, export_base, make_variants

from lofi_engine.models.ace_step_v1.builtin import NANO
from lofi_engine.publishing.facts import Release
from lofi_engine.publishing.manifest import manifest_of
from lofi_engine.recipe.model import Base
from lofi_engine.stages import export, quantize
from lofi_runtime.bundle import MANIFEST_NAME, open_bundle

NAME, VARIANT = "lofi-nano", "int8"
RECORD_FILE = "record.json"
RECIPE = "version: 1\nname: lofi-nano\n"
THREADS = 2


def make(folder: Path) -> Path:
    """Make the bundle in `folder`; give its own folder."""
    reference = Base("ace-step-v1", NANO, "main", None)
    exported = export_base(reference, folder / "made", THREADS)
    settings = quantize.Settings({VARIANT: VARIANTS[VARIANT]})
    bundle = make_variants(exported, folder / "made", THREADS, settings)[VARIANT]
    bundle = bundle.rename(folder / f"{NAME}-{VARIANT}")
    record = json.loads((bundle / RECORD_FILE).read_text())
    (bundle / RECORD_FILE).unlink()
    manifest = manifest_of(_release(reference, exported, record), VARIANT, bundle)
    (bundle / MANIFEST_NAME).write_text(json.dumps(manifest))
    open_bundle(bundle, verify=True)
    return bundle


def _release(reference: Base, exported: Path, record: dict[str, object]) -> Release:
    return Release(
        model_name=NAME,
        version="0.0.0",
        license="apache-2.0",
        description="The built-in base as it is.",
        base=reference,
        identity=hashlib.sha256(RECIPE.encode()).hexdigest(),
        pipeline=json.loads((exported / export.MODEL_FILE).read_text())["pipeline"],
        recipe_text=RECIPE,
        changes=(),
        is_rehearsal=False,
        git_revision="",
        ledger={"tracks": 0, "duration_sec": 0, "licenses": {}},
        attributions=(),
        records={VARIANT: record},
        measures={VARIANT: {"quality": {}, "measured": {}}},
    )


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
