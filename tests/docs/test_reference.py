from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from lofi_engine.recipe.load import load_recipe

ROOT = Path(__file__).resolve().parents[2]


def test_the_generated_pages_say_what_the_programs_and_the_schema_say():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_opens_with_the_recipe_and_the_two_commands():
    readme = (ROOT / "README.md").read_text()
    first_screen = "\n".join(readme.splitlines()[:45])
    assert first_screen.index("```yaml") < first_screen.index("make demo")
    assert "make test" in first_screen
    assert "published/" in first_screen


def test_the_recipe_in_the_readme_loads(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "readme.yaml").write_text(block)
    recipe = load_recipe(tmp_path / "readme.yaml")
    assert list(recipe.variants) == ["fp16", "int8", "int4"]


def test_every_link_of_the_documents_leads_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_ci_runs_the_command_the_readme_names():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^test:", makefile, re.MULTILINE)
    assert re.search(r"^demo:", makefile, re.MULTILINE)
