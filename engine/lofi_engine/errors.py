"""The engine's share of the tree in `lofi_runtime.errors`.

LofiError
|- RecipeError     the recipe file is wrong; carries every problem found, one line each
|- NeedsError      this machine lacks something the recipe needs; carries every need
|- StageError      a stage could not do its work on what it was given
|- MetricError     a metric refuses what would give a number that means nothing
|- ArtifactError   a finished stage's folder is damaged or not ours
"""

from __future__ import annotations

from lofi_runtime.errors import LofiError, ManyProblemsError


class RecipeError(ManyProblemsError):
    """The recipe is wrong; each line is `file:line:column: key.path: what is wrong`."""


class NeedsError(ManyProblemsError):
    """This machine lacks what the recipe needs; each line names one need and how to get it."""


class StageError(LofiError):
    """A stage could not do its work on what it was given; names the track or file."""


class MetricError(LofiError):
    """A metric refuses what would give a number that means nothing; names the set and clip."""


class ArtifactError(LofiError):
    """A finished stage's folder is damaged or was not written by this program."""
