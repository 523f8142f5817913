"""What every test shares: homes of their own, and the list of absent programs."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.support.finished_run import FinishedRun, run_small_recipe
from tests.support.programs import absent
from tests.support.shared_work import close_place, open_place

# The suite tries the same examples every time; LOFI_FUZZ=1 draws new ones. How long drawing takes
# says how busy the machine is.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fuzz", derandomize=False)
settings.load_profile("fuzz" if os.environ.get("LOFI_FUZZ") else "suite")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the one process, or the one that starts the others
        open_place()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        close_place()


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one process, and those that look at the one finished run.

    Only with `--dist loadgroup`, and only where xdist can: it can not with pytest 9.2.
    """
    for item in items:
        names: tuple[str, ...] = getattr(item, "fixturenames", ())
        group = "finished run" if "finished_run" in names else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
    # The longest first: what begins last must be short, or one process waits for the other.
    items.sort(key=lambda item: item.get_closest_marker("pipeline") is None)


def pytest_report_header() -> list[str]:
    return [f"absent: {name} (its tests are skipped; {how})" for name, how in absent().items()]


@pytest.fixture(autouse=True)
def own_homes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point every per-user folder at a fresh place, so that no test sees or touches the user's."""
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(home / "hf"))


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """One real run of the small recipe: all eleven stages on a tiny base."""
    return run_small_recipe(tmp_path_factory.mktemp("finished"))
