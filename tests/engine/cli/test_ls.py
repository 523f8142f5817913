from lofi_engine.cli.ls import run_ls
from lofi_runtime.shared_data import shared_folder


def test_each_shipped_recipe_is_a_line_with_what_it_makes(capsys, monkeypatch):
    monkeypatch.chdir(shared_folder("recipes"))
    assert run_ls() == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert names == ["starter.yaml", "v1-lowvram.yaml", "v1.yaml"]
    assert all("  Makes " in line for line in lines)
    assert len({line.index("Makes") for line in lines}) == 1


def test_from_elsewhere_the_path_is_whole(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run_ls()
    assert capsys.readouterr().out.startswith(f"{shared_folder('recipes') / 'starter.yaml'}  ")


def test_styles_are_not_recipes(capsys):
    run_ls()
    assert "styles" not in capsys.readouterr().out
