"""Every expected failure, one small tree.

    LofiError               something a user can mend; one line, exit code 1
    |- BundleError          a variant's folder is missing, damaged or of another format
    |- BackendError         a backend cannot generate: not installed, failed to load, crashed
    |- StyleError           a taxonomy is wrong, or there is no such style
    |- AudioWriteError      a finished track could not be written
    |- RpcError             a request the server refuses; carries its code (see rpc.errors)
    |- GenerationCancelled  the user asked to stop; not a failure, but it ends the work

The engine adds RecipeError, NeedsError, StageError and ArtifactError in `lofi_engine.errors`.
Anything else that reaches the top is a bug: log file, exit code 3.
"""

from __future__ import annotations

from collections.abc import Sequence


class LofiError(Exception):
    """An expected failure: says what is wrong and what to do, in one line.

    Args:
        message: names the file, key or track, the value, and what is allowed.
        hint: what to do about it, as a clause without a full stop; shown after a dash.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} - {hint}" if hint else message)
        self.message = message
        self.hint = hint


class ManyProblemsError(LofiError):
    """Several problems reported at once, one line each.

    Args:
        problems: the finished lines, in the order they should be read.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class StyleError(ManyProblemsError):
    """A taxonomy is wrong, or there is no such style; one line a problem."""


class BundleError(LofiError):
    """A variant's folder is missing, damaged, or of a format this version cannot read."""


class BackendError(LofiError):
    """A backend cannot generate: unknown, not installed, failed to load, or crashed."""


class AudioWriteError(LofiError):
    """A finished track could not be written where it was wanted."""


class GenerationCancelled(LofiError):  # noqa: N818 - it ends the work, it is no failure
    """The user cancelled; raised between two denoising steps, never inside one."""
