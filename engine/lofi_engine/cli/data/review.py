"""`lofi-recipe data review`: a page on this machine to hear, tag, score and accept tracks."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lofi_engine.cli.options import Overrides, RecipePath
from lofi_engine.errors import StageError

if TYPE_CHECKING:
    from lofi_engine.review.store import Review


def data_review(
    path: RecipePath,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")
    ] = 0,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what is reviewed as JSON and end.")
    ] = False,
    overrides: Overrides = None,
) -> int:
    """Hear, tag, score and accept tracks on a local page; Ctrl-C ends it.

    Every key you press is written into the ledger at once, so you may stop at any time; opened
    again, it begins at the first track that nobody has reviewed.
    """
    from lofi_engine.recipe.load import load_recipe
    from lofi_engine.review.measured import Measured
    from lofi_engine.review.store import Review
    from lofi_engine.review.tracks import list_tracks

    recipe = load_recipe(path, overrides or ())
    review = Review(recipe, list_tracks(recipe), Measured(recipe))
    if as_json:
        sys.stdout.write(json.dumps(review.summary(), ensure_ascii=False, indent=1) + "\n")
        return 0
    _serve(review, port, browser)
    sys.stdout.write(_said(review.summary()))
    return 0


def _serve(review: Review, port: int, browser: bool) -> None:
    from lofi_engine.review.decoder import Decoder
    from lofi_engine.review.server import ReviewServer

    with Decoder() as decoder:
        try:
            server = ReviewServer(review, decoder, port)
        except OSError as error:
            raise StageError(
                f"--port {port}: {error.strerror}", hint="leave --port out to take a free one"
            ) from error
        with server:
            sys.stdout.write(f"{server.url}\n")
            sys.stdout.flush()
            sys.stderr.write("open this address in a browser on this machine; Ctrl-C ends\n")
            if browser:
                import webbrowser

                webbrowser.open(server.url)
            try:
                server.serve_forever()
            except KeyboardInterrupt:  # the way to end it; every change is written already
                sys.stderr.write("\n")


def _said(summary: dict[str, Any]) -> str:
    lines = [f"warning: {fault}\n" for fault in summary["faults"]]
    left = f", {summary['without_row']} without a ledger row" if summary["without_row"] else ""
    return "".join(lines) + (
        f"{summary['reviewed']} of {summary['tracks']} tracks are reviewed: "
        f"{summary['accepted']} accepted, {summary['rejected']} rejected{left}\n"
    )
