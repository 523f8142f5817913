"""The sizes below a plan's stages: from the configuration alone, and light."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lofi_engine.cli.plan import run_plan
from lofi_engine.cli.sizes import readable
from lofi_runtime.shared_data import shared_folder
from tests.engine.cli.test_light_imports import HEAVY
from tests.support.recipes import write_recipe

V1 = str(shared_folder("recipes") / "v1.yaml")
ALONE = """
import socket, sys
def refuse(*arguments):
    raise AssertionError(f"the network was asked: {arguments}")
socket.socket.connect = socket.getaddrinfo = refuse
sys.argv = ["lofi-recipe", "plan", *sys.argv[1:]]
from lofi_engine.cli.main import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def planned_alone(tmp_path, *arguments):
    """Run `plan` in a process of its own with an empty Hub cache; give its output and modules."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_HOME": str(tmp_path / "hub")},
    )
    return done.stdout, {name.split(".")[0] for name in done.stderr.split()}


def said(capsys, *arguments, **options):
    assert run_plan(*arguments, **options) == 0
    return capsys.readouterr().out


def test_the_published_base_is_sized_without_torch_weights_or_network(tmp_path):
    output, modules = planned_alone(tmp_path, V1)
    assert not modules & {*HEAVY, "numpy"}
    lines = output.partition("\n\n")[2].splitlines()
    assert lines[:11] == [
        "The graphs' weights, by the published configuration of ACE-Step/ACE-Step-v1-3.5B "
        "(it is not in the Hub's cache):",
        "graph                   parameters   float32 bytes",
        "text_encoder           281,861,376   1,127,445,504",
        "transformer_encoder     95,694,336     382,777,344",
        "transformer_decoder  2,492,733,056   9,970,932,224",
        "dcae_decoder            79,144,194     316,576,776",
        "vocoder                102,977,697     411,910,788",
        "total                3,052,410,659  12,209,642,636",
        "left out: 629,391,360 parameters never run (the cross-attention's add_* projections)",
        "left out: 87,840,512 parameters run in training only (the projectors)",
        "left out: 77,801,480 parameters run to encode audio only "
        "(the DCAE's encoder, the mel filters)",
    ]
    variants = {line.split()[0]: line.split()[1:3] for line in lines[14:18]}
    assert variants["fp16"] == ["6.11", "GB"]
    assert variants["int8"] == ["2.50", "GB"]
    assert variants["int8-fast"] == ["3.27", "GB"]
    table = {line.split()[0]: line.split()[1:] for line in lines[20:25]}
    assert table["variant"] == ["text_encoder", "transformer_encoder", "transformer_decoder",
                                "dcae_decoder", "vocoder"]  # fmt: skip
    assert " ".join(table["int8-fast"]) == "307.02 MB 97.19 MB 2.50 GB 158.43 MB 206.17 MB"
    told = [line for line in lines if "the specification's target" in line]
    assert [line.split(":")[0] for line in told if line.endswith(" holds")] == ["int8"]
    assert told[0] == (
        "fp16: the specification's target of 3.90 GB for fp16 does not hold, by 2.21 GB"
    )


def test_json_holds_the_sizes_for_programs(tmp_path):
    output, _ = planned_alone(tmp_path, V1, "--json")
    sizes = json.loads(output)["sizes"]
    assert sizes["graphs"]["vocoder"] == {"parameters": 102_977_697, "float32_bytes": 411_910_788}
    assert sum(sizes["left_out"].values()) == 629_391_360 + 87_840_512 + 77_801_480
    fast = sizes["variants"]["int8-fast"]
    assert fast["estimated_bytes"] == sum(fast["component_bytes"].values())
    assert fast["max_bytes"] == 3_400_000_000
    assert set(fast["widths"]["transformer_decoder"]) == {"8", "16", "32"}
    assert fast["problem"] == ""


def test_the_builtin_base_is_sized_too(tmp_path, capsys):
    output = said(capsys, write_recipe(tmp_path))
    assert "by the configuration of builtin:tiny:" in output
    assert "the specification's target" not in output
    assert "transformer_decoder     717,376      2,869,504" in output


def test_a_base_of_unknown_configuration_is_one_line_and_the_plan_stands(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    output = said(capsys, recipe, ("base.model=bases/mine",))
    stages, _, sizes = output.partition("\n\n")
    assert len(stages.splitlines()) == 11
    (line,) = sizes.splitlines()
    assert line.startswith("The graphs' sizes are not known: base.model: cannot read ")
    rows = json.loads(said(capsys, recipe, ("base.model=bases/mine",), as_json=True))
    assert rows["sizes"]["unknown"] in line
    assert len(rows["stages"]) == 11


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("variants.int8.max_bytes=1000000", "int8: about "),
    ],
)
def test_what_a_variant_could_not_be_is_said_below_the_table(tmp_path, capsys, override, line):
    output = said(capsys, write_recipe(tmp_path), (override,))
    found = [written for written in output.splitlines() if written.startswith(line)]
    assert len(found) == 1
    assert "max_bytes" not in override or found[0].endswith(" over its max_bytes")


def test_bytes_are_written_as_people_do():
    written = [readable(size) for size in (12, 1500, 2_869_504, 3_270_000_000)]
    assert written == ["12 B", "1.50 kB", "2.87 MB", "3.27 GB"]
