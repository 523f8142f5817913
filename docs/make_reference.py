"""Writes the pages of docs/ that say what the programs, the schemas and the styles say.

These are cli.md, recipe.md, protocol.md and STYLE_TAGS.md.

`--check` compares instead of writing.

A test runs the check, so no page can go stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from lofi_engine.cli.main import app as recipe_app
from lofi_engine.styles.reference import style_reference
from lofi_runtime.cli import app as runtime_app
from lofi_runtime.shared_data import shared_folder
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.styles.vocabulary import load_vocabulary

DOCS = Path(__file__).parent


def cli_page() -> str:
    """Collect the help of every verb of both programs."""
    lines = ["# Commands", "", "Made by `make docs` from the programs' own help.", ""]
    for program, app in (("lofi-recipe", recipe_app), ("lofi-runtime", runtime_app)):
        lines += [f"## {program}", ""]
        for verb in _verbs(app):
            runner = CliRunner(env={"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"})
            said = runner.invoke(app, [*verb, "--help"], prog_name=program).stdout
            trimmed = "\n".join(line.rstrip() for line in said.strip().splitlines())
            lines += [f"### {' '.join([program, *verb])}", "", "```", trimmed, "```", ""]
    return "\n".join(lines)


def _verbs(app: typer.Typer) -> Iterator[list[str]]:
    """Give every verb as it is typed; those of a group come after the others."""
    for command in app.registered_commands:
        yield [command.name or command.callback.__name__]
    for group in app.registered_groups:
        inner = group.typer_instance
        yield from ([inner.info.name, *verb] for verb in _verbs(inner))


def recipe_page() -> str:
    """List every key of the recipe with type, limits, default and meaning."""
    schema = json.loads((shared_folder("schemas") / "recipe.v1.schema.json").read_text())
    lines = [
        "# The recipe, key by key",
        "",
        "Made by `make docs` from `schemas/recipe.v1.schema.json`, which is the contract.",
        "",
        "| key | value | default | meaning |",
        "|---|---|---|---|",
        *_rows(schema, schema, ""),
    ]
    return "\n".join(lines) + "\n"


def _rows(schema: dict[str, Any], node: dict[str, Any], prefix: str) -> Iterator[str]:
    node = _resolved(schema, node)
    required = set(node.get("required", ()))
    for key, part in node.get("properties", {}).items():
        whole = {**_resolved(schema, part), **part}
        name = f"{prefix}{key}"
        default = "required" if key in required else _shown(whole.get("default"))
        meaning = str(whole.get("description", "")).replace("|", "\\|")
        yield f"| `{name}` | {_kind(schema, whole)} | {default} | {meaning} |"
        yield from _rows(schema, whole, f"{name}.")
        if "items" in whole:
            yield from _rows(schema, whole["items"], f"{name}[].")
        extra = whole.get("additionalProperties")
        if isinstance(extra, dict):
            yield from _rows(schema, extra, f"{name}.NAME.")


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        target: Any = schema
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return _resolved(schema, target)
    return node


def _kind(schema: dict[str, Any], node: dict[str, Any]) -> str:
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    kind = str(node.get("type", ""))
    if kind == "array":
        return f"list of {_kind(schema, _resolved(schema, node.get('items', {}))) or 'values'}"
    limits = [
        f"{sign} {node[key]}"
        for key, sign in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("exclusiveMaximum", "below"),
        )
        if key in node
    ]
    return " ".join([kind, *limits])


def _shown(value: Any) -> str:
    return "" if value is None else f"`{json.dumps(value)}`"


def protocol_page() -> str:
    """List every method and notification of the runtime with its fields."""
    schema = json.loads((shared_folder("schemas") / "rpc.v1.schema.json").read_text())
    lines = [
        "# The protocol",
        "",
        "Made by `make docs` from `schemas/rpc.v1.schema.json`, which is the contract.",
        "",
        "msgpack-RPC over a unix socket (folder 0700, socket 0600, the peer's user is checked):",
        "`[0, id, method, [params]]`, `[1, id, error, result]`, `[2, method, [params]]`, with one",
        "map of parameters. An error is `{code, message, data: {error_code, details}}`; its",
        "message is one sentence that says what to do. A message has at most 65536 bytes: what is",
        "longer, or is no message, ends the connection once what came before it is answered.",
        "",
        "`lofi-runtime serve --tcp` listens on 127.0.0.1 instead, as `serve` does on Windows.",
        "Beside where the socket would be, `runtime.tcp.json` (mode 0600) holds host, port, token,",
        "pid and version; the first request is `authenticate` with that token. `serve --stdio`",
        "speaks over stdin and stdout with the program that started it, and ends with its stdin. A",
        "server says who it is in `runtime.sock.json` (pid, version, address); `runtime.sock.lock`",
        "keeps a second one away, on either transport. A client beyond the 512th, or fewer where",
        "fewer files may be open, gets `TOO_MANY_CLIENTS` in answer to its first request.",
        "",
        "`lofi-daemon --daemon` speaks the same methods as JSON-RPC 2.0 over stdin and stdout, one",
        "object a line, for the lofi.nvim of today: backends are `musicgen` (never installed here)",
        "and `ace_step`, `generation_progress` also has `tokens_generated` and `tokens_estimated`",
        "(its steps), nulls count as left out, a line that is no request is refused with the id",
        "null and the next one is read. Settings are the variables that `lofi-daemon --help`",
        "lists. It ends with its stdin, and its worker with it, however it ends. lofi.nvim finds",
        "it on the PATH.",
    ]
    methods = schema["properties"]["methods"]["properties"]
    lines += ["", "## Methods"]
    for name, method in methods.items():
        method = _resolved(schema, method)
        parts = method["properties"]
        lines += ["", f"### {name}", "", str(method.get("description", ""))]
        lines += _fields(schema, parts["params"], "parameter")
        lines += _fields(schema, parts["result"], "answer")
    notifications = schema["properties"]["notifications"]["properties"]
    lines += ["", "## Notifications"]
    for name, notification in notifications.items():
        whole = {**_resolved(schema, notification), **notification}
        lines += ["", f"### {name}", "", str(whole.get("description", ""))]
        lines += _fields(schema, whole, "field")
    return "\n".join(lines) + "\n"


def _fields(schema: dict[str, Any], node: dict[str, Any], title: str) -> list[str]:
    rows = list(_rows(schema, node, ""))
    if not rows:
        return []
    return ["", f"| {title} | value | default | meaning |", "|---|---|---|---|", *rows]


def style_page() -> str:
    """List every style and every tag."""
    return style_reference(load_styles(), load_vocabulary())


PAGES = {
    "cli.md": cli_page,
    "recipe.md": recipe_page,
    "protocol.md": protocol_page,
    "STYLE_TAGS.md": style_page,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` say which are stale."""
    stale = []
    for name, make in PAGES.items():
        path = DOCS / name
        text = make()
        if arguments == ["--check"]:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)} - run: make docs\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
