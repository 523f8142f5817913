"""How a function becomes a verb of the command line."""

from __future__ import annotations

from collections.abc import Callable

import typer

Verb = Callable[..., int]
"""Does a verb's work and returns the exit code; its docstring is the help."""


def verbs_of(app: typer.Typer) -> Callable[[str, str], Callable[[Verb], Verb]]:
    """Give what registers an app's verbs: `register(name, example)(function)`, or as a decorator.

    A verb's help ends with its example, a whole command line.
    """

    def register(name: str, example: str) -> Callable[[Verb], Verb]:
        def add(function: Verb) -> Verb:
            app.command(name, epilog=f"Example: {example}")(function)
            return function

        return add

    return register
