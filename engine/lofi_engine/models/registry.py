"""The families of models, by the name a recipe gives. Importing this is cheap."""

from __future__ import annotations

from lofi_engine.models.ace_step_v1.family import AceStepV1
from lofi_engine.models.family import Family

FAMILIES: dict[str, Family] = {family.name: family for family in (AceStepV1(),)}
