from lofi_engine.cli.validate import run_validate
from tests.support.recipe_texts import GOOD, changed


def test_good_recipes_are_ok_on_standard_output(tmp_path, capsys):
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    assert run_validate([path, path]) == 0
    out, err = capsys.readouterr()
    assert out == f"{path}: ok (good 0.1.0)\n" * 2
    assert err == ""


def test_every_problem_of_every_file_goes_to_standard_error(tmp_path, capsys):
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text(changed("r: 8", "r: 0\n  rr: 1"))
    good.write_text(GOOD)
    missing = tmp_path / "zzzzz.yaml"
    assert run_validate([bad, good, missing]) == 1
    out, err = capsys.readouterr()
    assert out == f"{good}: ok (good 0.1.0)\n"
    lines = err.splitlines()
    assert lines[:2] == [
        f"{bad}:10:6: lora.r: 0 is less than the minimum of 1",
        f"{bad}:11:3: lora.rr: unknown key; did you mean 'r'?",
    ]
    assert lines[2].startswith(f"{missing}: no such file")
