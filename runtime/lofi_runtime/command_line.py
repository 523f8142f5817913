"""What both command lines share: help and version, and how typer's answer becomes an exit code."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import typer

from lofi_runtime.top import run_command
from lofi_runtime.version import VERSION

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}
"""The `context_settings` of an app."""


def add_version(program: str, app: typer.Typer) -> None:
    """Give an app the option `--version`, which prints `<program> <version>` and ends."""

    def show(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{program} {VERSION}")
            raise typer.Exit

    option = typer.Option(
        False, "--version", callback=show, is_eager=True, help="Show the version and exit."
    )

    @app.callback()
    def _options(version: bool = option) -> None:
        pass


def exit_with(code: int | None, **_options: Any) -> None:
    """End with what a verb returned; typer itself would throw it away."""
    raise typer.Exit(code or 0)


def run_app(program: str, app: typer.Typer) -> int:
    """Run a typer app whose verbs return exit codes and whose result callback is `exit_with`.

    Returns:
        The verb's code; 2 for wrong usage, told by typer; else as `top.run_command` says.
    """

    def call() -> int:
        try:
            app()
        except SystemExit as done:
            return done.code if isinstance(done.code, int) else 0
        return 0

    return run_command(program, call)


def stop_on_sigterm() -> None:
    """Let SIGTERM unwind like Ctrl-C, so that what is half made is removed.

    Only the first of either counts: cleaning up takes a second or two, and another one in the
    middle of it would leave child processes that nobody waits for.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupt)
