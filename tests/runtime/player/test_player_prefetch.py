"""Music that goes on by itself: real server, real worker, real child on the null device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.played_tracks import keep_track
from tests.support.rpc_client import RpcClient, RpcFailure
from tests.support.rpc_server import RunningServer, running_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[RpcClient]:
    with server.connect() as connected:
        connected.call("subscribe", tracks="all")
        yield connected


def wait_until(holds: Callable[[], object], limit_sec: float = 5.0) -> None:
    deadline = time.monotonic() + limit_sec
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_same_prompt_with_another_seed_follows_and_joins_the_playlist(
    server: RunningServer, client: RpcClient
) -> None:
    track_id = keep_track(server.settings.tracks, 1, 0.8, "quick tune")
    assert client.call("prefetch_config") == {
        "enabled": False, "strategy": "same_prompt", "presets": [], "pending": 0,
    }  # fmt: skip
    assert client.call("prefetch_config", enabled=True)["enabled"] is True
    client.call("play", track_id=track_id)
    made = client.wait_for("generation_complete")
    assert (made["prompt"], made["duration_sec"]) == ("quick tune", 5)
    assert made["seed"] != 1
    assert client.wait_for("playback_started", track_id=made["track_id"])["duration_sec"] == 5
    # It plays now and is the last one, so one more is on its way already.
    client.wait_for("generation_complete")
    assert client.call("playlist_get")["tracks"][0]["prompt"] == "quick tune"
    assert client.call("queue_status")["prefetch_pending"] == 0


def test_a_track_that_is_late_is_played_as_soon_as_it_is_there(
    server: RunningServer, client: RpcClient
) -> None:
    track_id = keep_track(server.settings.tracks, 1, 0.3, "quick tune")
    busy = client.call("generate", prompt="slow tune", duration_sec=5)["track_id"]
    client.wait_for("generation_progress")
    client.call("prefetch_config", enabled=True)
    client.call("play", track_id=track_id)
    assert client.wait_for("playback_ended")["reason"] == "finished"
    assert client.call("queue_status")["prefetch_pending"] == 1
    assert client.call("queue_status")["pending"] == []
    client.call("cancel", track_id=busy)
    made = client.wait_for("generation_complete")
    client.wait_for("playback_started", track_id=made["track_id"])


def test_a_clients_request_goes_first_and_a_stop_ends_the_music(
    server: RunningServer, client: RpcClient
) -> None:
    track_id = keep_track(server.settings.tracks, 1, 0.3, "quick tune")
    busy = client.call("generate", prompt="slow tune", duration_sec=5)["track_id"]
    client.call("prefetch_config", enabled=True)
    client.call("play", track_id=track_id)
    client.wait_for("playback_ended")
    wanted = client.call("generate", prompt="mine", duration_sec=5)["track_id"]
    client.call("stop")
    client.call("cancel", track_id=busy)
    assert client.wait_for("generation_complete")["track_id"] == wanted
    time.sleep(0.3)
    assert client.call("volume_get")["state"] == "stopped"
    assert client.call("status")["cache"]["count"] == 2


def test_presets_follow_one_another_and_a_style_becomes_a_prompt(
    server: RunningServer, client: RpcClient
) -> None:
    track_id = keep_track(server.settings.tracks, 1, 5, "quick tune")
    client.call(
        "prefetch_config", enabled=True, strategy="preset_cycle", presets=["rain", "SEASON-02"]
    )
    client.call("play", track_id=track_id)
    assert client.wait_for("generation_complete")["prompt"] == "rain"
    client.call("skip")
    second = client.wait_for("generation_complete")
    assert len(second["prompt"].split(", ")) > 3
    client.call("skip")
    assert client.wait_for("generation_complete")["prompt"] == "rain"
    listed = {track["track_id"]: track for track in client.call("cache_list")["tracks"]}
    assert listed[second["track_id"]]["style"] == "SEASON-02"


def test_nothing_is_generated_while_a_track_loops_or_something_waits(
    server: RunningServer, client: RpcClient
) -> None:
    first, second = (keep_track(server.settings.tracks, seed, 5, "quick") for seed in (1, 2))
    client.call("loop_set", enabled=True)
    client.call("prefetch_config", enabled=True, strategy="random_preset", presets=["quick rain"])
    client.call("play", track_id=first)
    client.call("playlist_add", track_id=second)
    client.call("loop_set", enabled=False)
    time.sleep(0.2)
    assert client.call("queue_status")["prefetch_pending"] == 0
    client.call("playlist_clear")
    assert client.wait_for("generation_complete")["prompt"] == "quick rain"


def test_a_failed_prefetch_is_not_tried_again_for_the_same_track(
    server: RunningServer, client: RpcClient
) -> None:
    track_id = keep_track(server.settings.tracks, 1, 5, "fail")
    client.call("prefetch_config", enabled=True)
    client.call("play", track_id=track_id)
    client.wait_for("generation_error")
    time.sleep(0.4)
    starts = [event for event, _ in client.notifications() if event == "generation_start"]
    assert len(starts) == 1
    assert client.call("queue_status")["prefetch_pending"] == 0


def test_disabling_it_withdraws_what_is_on_its_way(
    server: RunningServer, client: RpcClient
) -> None:
    track_id = keep_track(server.settings.tracks, 1, 5, "slow tune")
    client.call("prefetch_config", enabled=True)
    client.call("play", track_id=track_id)
    running = client.wait_for("generation_progress")
    assert client.call("cancel", track_id=running["track_id"])["cancelled"] is False
    assert client.call("prefetch_config", enabled=False)["pending"] == 0
    assert client.wait_for("generation_cancelled")["track_id"] == running["track_id"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"strategy": "preset_cycle"}, "presets: strategy 'preset_cycle' needs at least one"),
        ({"presets": ["SEASON-99"]}, "style: "),
        ({"presets": [" "]}, "presets[0]: the text is empty"),
        ({"strategy": "shuffle"}, "strategy: 'shuffle' is not one of same_prompt, preset_cycle,"),
    ],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(
    client: RpcClient, params: dict[str, object], message: str
) -> None:
    before = client.call("prefetch_config")
    with pytest.raises(RpcFailure) as caught:
        client.call("prefetch_config", enabled=True, **params)
    assert caught.value.error["message"].startswith(message) or message == "style: "
    assert client.call("prefetch_config") == before
