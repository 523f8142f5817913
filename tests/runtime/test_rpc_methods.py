"""Every method over a real socket, with a real worker; every answer is checked by the schema."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from lofi_runtime.rpc.definitions import method_names, notification_names
from lofi_runtime.rpc.playback_methods import PLAYBACK_METHODS
from lofi_runtime.rpc.schema import find_problems
from tests.support.rpc_client import RpcClient, RpcFailure
from tests.support.rpc_server import RunningServer, running_server

END = ("generation_complete", "generation_error", "generation_cancelled")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[RpcClient]:
    with server.connect() as connected:
        yield connected


def error_of(client: RpcClient, method: str, **params: object) -> dict[str, object]:
    with pytest.raises(RpcFailure) as caught:
        client.call(method, **params)
    return caught.value.error


def make(client: RpcClient, prompt: str, **params: object) -> dict[str, object]:
    return client.call("generate", **({"prompt": prompt, "duration_sec": 5} | params))


def test_every_answer_keeps_to_the_schema(client: RpcClient) -> None:
    made = make(client, "slow tune", seed=1)
    answers = {"generate": made}
    make(client, "slow second")
    needs = {
        "download_backend": {"backend": "procedural"},
        "expand_prompt": {"prompt": "rain"},
        "cache_delete": {"track_id": "0" * 16},
    }
    # Those that play have a test of their own, beside the player's.
    methods = set(method_names()) - set(PLAYBACK_METHODS)
    for method in methods:
        if method not in ("generate", "cancel", "shutdown"):
            answers[method] = client.call(method, **needs.get(method, {}))
    answers["cancel"] = client.call("cancel", track_id=made["track_id"])
    answers["shutdown"] = client.call("shutdown")
    assert set(answers) == methods
    for method, result in answers.items():
        assert find_problems("methods", method, "result", result) == [], method


def test_every_notification_keeps_to_the_schema(client: RpcClient) -> None:
    for prompt in ("good", "fail"):
        make(client, prompt)
        client.wait_for(*END)
    slow = make(client, "slow")
    client.wait_for("generation_progress", track_id=slow["track_id"])
    client.call("cancel", track_id=slow["track_id"])
    client.wait_for("generation_cancelled")
    kinds = set()
    for event, params in client.notifications():
        kinds.add(event)
        assert find_problems("notifications", event, "params", params) == [], event
    assert len(kinds) == 5


def test_ping_tells_version_and_process(client: RpcClient) -> None:
    answer = client.call("ping")
    assert (answer["status"], answer["protocol_version"]) == ("ok", 1)
    assert answer["pid"] == os.getpid()


def test_capabilities_tell_limits_and_methods(client: RpcClient) -> None:
    told = client.call("capabilities")
    assert told["limits"]["generate"]["inference_steps"]["maximum"] == 200
    assert {"generate", "cancel", "queue_cancel"} <= set(told["methods"])
    assert told["queue_limit"] == 10
    assert told["features"]["playback"] is True


def test_without_a_bundle_the_default_is_procedural_and_ace_step_is_not_installed(
    client: RpcClient,
) -> None:
    told = client.call("get_backends")
    assert told["default_backend"] == "procedural"
    states = {info["type"]: info["status"] for info in told["backends"]}
    assert states == {"procedural": "ready", "ace_step": "not_installed"}
    error = error_of(client, "generate", prompt="rain", backend="ace_step")
    assert error["code"] == -32008
    assert error["data"]["error_code"] == "BACKEND_NOT_INSTALLED"


def test_the_reply_to_generate_comes_before_any_notification_of_the_track(
    client: RpcClient,
) -> None:
    for number in range(20):
        id_ = client.send("generate", prompt=f"tune {number}", duration_sec=5, seed=number)
        client.answer(id_)
        client.wait_for(*END)
    seen: set[str] = set()
    for frame in client.frames:
        if frame[0] == 1:
            seen.add(frame[3]["track_id"])
        else:
            assert frame[2][0]["track_id"] in seen


def test_a_track_is_made_and_told_with_everything_the_contract_lists(client: RpcClient) -> None:
    answer = make(client, "calm tune", seed=2**53 - 1)
    assert answer["status"] == "generating"
    assert answer["seed"] == 2**53 - 1
    done = client.wait_for(*END)
    assert done["event"] == "generation_complete"
    assert done["seed"] == 2**53 - 1
    assert (done["duration_sec"], done["sample_rate"]) == (5.0, 48000)
    assert (done["prompt"], done["warnings"]) == ("calm tune", ["a stand-in"])
    assert Path(done["path"]).is_file()
    percents = [p["percent"] for name, p in client.notifications() if name.endswith("progress")]
    assert percents == sorted(percents)
    assert percents[-1] <= 99
    assert len(percents) >= 10


def test_the_same_request_is_answered_from_the_store(client: RpcClient) -> None:
    first = make(client, "again", seed=7)
    done = client.wait_for(*END)
    second = make(client, "again", seed=7)
    assert second == first | {"status": "complete"}
    told = client.wait_for(*END)
    assert told == done
    starts = [name for name, _ in client.notifications() if name == "generation_start"]
    assert len(starts) == 1


def test_a_random_seed_is_below_2_to_the_31_and_told(client: RpcClient) -> None:
    seeds = {make(client, f"slow {number}")["seed"] for number in range(5)}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_progress_carries_steps_and_an_estimate_after_the_first_ones(client: RpcClient) -> None:
    make(client, "slow tune")
    while True:
        told = client.wait_for("generation_progress")
        if told["current_step"] < 2 and told["stage"] == "denoise":
            assert "eta_sec" not in told
        if told["current_step"] >= 4:
            break
    assert (told["total_steps"], told["stage"]) == (200, "denoise")
    assert 5 < told["eta_sec"] < 40


def test_a_running_track_is_cancelled_within_a_step(client: RpcClient) -> None:
    track_id = make(client, "slow tune")["track_id"]
    client.wait_for("generation_progress")
    began = time.monotonic()
    answer = client.call("queue_cancel", track_id=track_id)
    assert answer == {"cancelled": True, "was_generating": True}
    told = client.wait_for(*END)
    assert told["event"] == "generation_cancelled"
    assert told["at_step"] <= told["total_steps"]
    assert time.monotonic() - began < 1.0
    assert client.call("queue_status") == {"pending": [], "prefetch_pending": 0}


def test_a_cancelled_track_can_be_asked_for_again_at_once(client: RpcClient) -> None:
    first = make(client, "slow tune", seed=1)
    client.wait_for("generation_progress")
    client.call("cancel", track_id=first["track_id"])
    again = make(client, "slow tune", seed=1)
    assert again["track_id"] == first["track_id"]
    client.wait_for("generation_cancelled")
    client.wait_for("generation_start")
    assert client.wait_for("generation_progress")["track_id"] == first["track_id"]


def test_a_waiting_track_is_cancelled_at_once(client: RpcClient) -> None:
    make(client, "slow first")
    waiting = make(client, "slow second")
    assert (waiting["status"], waiting["position"]) == ("queued", 0)
    answer = client.call("cancel", track_id=waiting["track_id"])
    assert answer == {"cancelled": True, "was_generating": False}
    told = client.wait_for("generation_cancelled")
    assert (told["track_id"], told["at_step"]) == (waiting["track_id"], 0)


def test_cancelling_a_finished_or_unknown_track_changes_nothing(client: RpcClient) -> None:
    track_id = make(client, "quick")["track_id"]
    client.wait_for(*END)
    nothing = {"cancelled": False, "was_generating": False}
    assert client.call("cancel", track_id=track_id) == nothing
    assert client.call("cancel", track_id="0" * 16) == nothing
    error = error_of(client, "cancel", track_id="nonsense")
    assert error["data"]["error_code"] == "INVALID_TRACK_ID"


def test_the_eleventh_waiting_track_is_refused(client: RpcClient) -> None:
    make(client, "slow running")
    client.wait_for("generation_start")
    for number in range(10):
        assert make(client, f"slow {number}")["position"] == number
    error = error_of(client, "generate", prompt="one too many")
    assert error["code"] == -32004
    assert error["message"] == "the queue is full: 10 tracks wait already"
    assert len(client.call("queue_status")["pending"]) == 10


def test_high_priority_goes_before_everything_that_waits_with_normal(client: RpcClient) -> None:
    make(client, "slow running")
    client.wait_for("generation_start")
    make(client, "slow normal")
    make(client, "slow urgent one", priority="high")
    make(client, "slow urgent two", priority="high")
    pending = client.call("queue_status")["pending"]
    assert [item["prompt"] for item in pending] == [
        "slow urgent one",
        "slow urgent two",
        "slow normal",
    ]
    assert [item["position"] for item in pending] == [0, 1, 2]


def test_a_client_gets_the_events_of_its_own_tracks_only(
    server: RunningServer, client: RpcClient
) -> None:
    with server.connect() as watcher, server.connect() as listener:
        listener.call("subscribe", tracks="all", events=["generation_complete"])
        make(client, "mine")
        client.wait_for(*END)
        assert listener.wait_for(*END)["prompt"] == "mine"
        assert [name for name, _ in listener.notifications()] == ["generation_complete"]
        watcher.call("ping")
        assert watcher.notifications() == []


def test_subscribing_to_none_silences_a_client(client: RpcClient) -> None:
    answer = client.call("subscribe", tracks="none")
    assert answer["tracks"] == "none"
    assert answer["events"] == notification_names()
    make(client, "quick")
    time.sleep(0.3)
    client.call("ping")
    assert client.notifications() == []


def test_two_clients_share_a_track_and_it_survives_the_first_one_leaving(
    server: RunningServer, client: RpcClient
) -> None:
    other = server.connect()
    first = make(other, "slow shared", seed=1)
    client_answer = make(client, "slow shared", seed=1)
    assert client_answer["track_id"] == first["track_id"]
    client.wait_for("generation_progress")
    other.close()
    time.sleep(0.3)
    assert client.call("queue_status")["current"]["track_id"] == first["track_id"]


def test_a_cancel_of_a_shared_track_withdraws_that_client_only(
    server: RunningServer, client: RpcClient
) -> None:
    with server.connect() as other, server.connect() as watcher:
        watcher.call("subscribe", tracks="all")
        track_id = make(other, "slow shared", seed=1)["track_id"]
        make(client, "slow shared", seed=1)
        client.wait_for("generation_progress")
        both = {"cancelled": True, "was_generating": True}
        assert client.call("cancel", track_id=track_id) == both
        told = client.wait_for("generation_cancelled")
        assert find_problems("notifications", told.pop("event"), "params", told) == []
        nothing = {"cancelled": False, "was_generating": False}
        assert client.call("cancel", track_id=track_id) == nothing
        assert client.call("queue_status")["current"]["track_id"] == track_id
        watcher.call("ping")
        assert "generation_cancelled" not in {name for name, _ in watcher.notifications()}
        assert other.call("cancel", track_id=track_id) == both
        other.wait_for("generation_cancelled")
        watcher.wait_for("generation_cancelled")


def test_a_client_that_leaves_has_its_tracks_cancelled(
    server: RunningServer, client: RpcClient
) -> None:
    client.call("subscribe", tracks="all")
    other = server.connect()
    running, waiting = make(other, "slow one"), make(other, "slow two")
    client.wait_for("generation_progress")
    other.close()
    gone = {client.wait_for("generation_cancelled")["track_id"] for _ in range(2)}
    assert gone == {running["track_id"], waiting["track_id"]}


def test_a_server_told_so_finishes_what_a_gone_client_wanted(tmp_path: Path) -> None:
    kept = running_server(tmp_path, keeps_tracks_of_gone_clients=True)
    with kept as server, server.connect() as watcher:
        watcher.call("subscribe", tracks="all")
        with server.connect() as other:
            make(other, "quick one")
        assert watcher.wait_for(*END)["event"] == "generation_complete"


def test_an_unknown_method_is_refused_with_the_nearest_name(client: RpcClient) -> None:
    error = error_of(client, "generat")
    assert error["code"] == -32601
    assert error["message"] == "there is no method 'generat'"
    assert error["data"] == {
        "error_code": "METHOD_NOT_FOUND",
        "details": "did you mean 'generate'?",
    }


def test_a_backends_own_range_is_kept(client: RpcClient) -> None:
    error = error_of(client, "generate", prompt="x", duration_sec=4)
    assert error["code"] == -32005
    assert error["message"] == (
        "duration_sec: 4 is outside 5 to 600, the range of backend 'procedural'"
    )


def test_a_bad_frame_closes_that_connection_only(server: RunningServer, client: RpcClient) -> None:
    with server.connect() as bad:
        bad.send_bytes(b"\xc1\xc1\xc1")
        assert bad.read_frame() is None
    assert client.call("ping")["status"] == "ok"


def test_a_notification_from_a_client_is_carried_out_without_an_answer(client: RpcClient) -> None:
    client.send_bytes(msgpack.packb([2, "subscribe", [{"tracks": "none"}]]))
    client.send_bytes(msgpack.packb([2, "no_such_method", []]))
    client.call("ping")
    assert len(client.frames) == 1


def test_a_client_that_does_not_read_cannot_fill_the_servers_memory(
    server: RunningServer, client: RpcClient
) -> None:
    with server.connect() as deaf:
        deaf.call("subscribe", tracks="all")
        (connection,) = [c for c in server.runtime.clients.values() if c.wishes.tracks == "all"]
        loop_writes = {"track_id": "0" * 16, "prompt": "x" * 900}
        for _ in range(12_000):
            server.on_loop(connection.notify, "generation_start", loop_writes)
        assert client.call("status")["clients"] == 1


def test_many_requests_at_once_are_answered_in_order(client: RpcClient) -> None:
    ids = [client.send("ping") for _ in range(500)]
    client.answer(ids[-1])
    assert [frame[1] for frame in client.frames] == ids


def test_status_counts_clients_tracks_and_queue(client: RpcClient) -> None:
    make(client, "quick")
    client.wait_for(*END)
    make(client, "slow")
    make(client, "slow two")
    client.wait_for("generation_progress")
    told = client.call("status")
    assert (told["clients"], told["queue_length"], told["cache"]["count"]) == (1, 1, 1)
    assert told["generation"]["prompt"] == "slow"
    assert told["backend"] == "procedural"


def test_shutdown_answers_then_cancels_and_closes(server: RunningServer, client: RpcClient) -> None:
    make(client, "slow tune")
    client.wait_for("generation_progress")
    assert client.call("shutdown") == {"status": "shutting_down"}
    assert client.wait_for(*END)["event"] == "generation_cancelled"
    assert client.read_frame() is None
    server.thread.join(5)
    assert not server.thread.is_alive()


def test_an_idle_server_ends_by_itself_but_not_while_a_client_is_there(tmp_path: Path) -> None:
    with running_server(tmp_path, idle_exit_sec=0.3) as server:
        with server.connect() as client:
            time.sleep(0.8)
            assert client.call("ping")["status"] == "ok"
        server.thread.join(3)
        assert not server.thread.is_alive()
    assert not server.settings.socket.exists()


def test_the_store_is_listed_counted_and_cleared(client: RpcClient) -> None:
    ids = []
    for number in range(3):
        ids.append(make(client, f"tune {number}", seed=number)["track_id"])
        client.wait_for("generation_complete", track_id=ids[-1])
    listed = client.call("cache_list", limit=2)
    assert listed["count"] == 3
    assert [track["track_id"] for track in listed["tracks"]] == ids[:0:-1]
    assert Path(listed["tracks"][0]["path"]).is_file()
    assert listed["tracks"][0]["generate"]["prompt"] == "tune 2"
    stats = client.call("cache_stats")
    assert (stats["count"], stats["max_mb"], stats["max_count"]) == (3, 2000.0, 1000)
    assert stats["oldest"] <= stats["newest"]
    assert client.call("cache_delete", track_id=ids[0]) == {"deleted": True}
    assert client.call("cache_delete", track_id=ids[0]) == {"deleted": False}
    assert client.call("cache_clear")["deleted"] == 2
    assert client.call("cache_stats")["count"] == 0
    assert "oldest" not in client.call("cache_stats")
    assert make(client, "tune 1", seed=1)["status"] == "generating"


@pytest.mark.parametrize("track_id", ["../../etc/passwd", "ABCDEF0123456789", "", "0" * 15])
def test_only_ids_of_tracks_are_deleted(client: RpcClient, track_id: str) -> None:
    assert error_of(client, "cache_delete", track_id=track_id)["code"] == -32021


def test_a_store_over_its_limit_forgets_what_was_used_longest_ago(tmp_path: Path) -> None:
    with running_server(tmp_path, tracks_max_count=2) as server, server.connect() as client:
        ids = []
        for number in range(4):
            ids.append(make(client, "tune", seed=number)["track_id"])
            client.wait_for("generation_complete", track_id=ids[-1])
        assert [track["track_id"] for track in client.call("cache_list")["tracks"]] == ids[:1:-1]


def test_clearing_the_queue_withdraws_this_client_alone(server: RunningServer) -> None:
    with server.connect() as one, server.connect() as other:
        running = make(one, "slow first")["track_id"]
        shared = make(one, "tune shared", seed=5)["track_id"]
        mine = make(one, "tune mine", seed=6)["track_id"]
        make(other, "tune shared", seed=5)
        assert one.call("queue_clear") == {"cleared": 2}
        assert [job["track_id"] for job in one.call("queue_status")["pending"]] == [shared]
        told = {params["track_id"] for event, params in one.notifications()
                if event == "generation_cancelled"}  # fmt: skip
        assert told == {mine, shared}
        assert one.call("queue_status")["current"]["track_id"] == running
        assert other.call("queue_clear") == {"cleared": 1}


def test_styles_and_prompts_come_from_the_taxonomy(client: RpcClient) -> None:
    styles = client.call("styles")["styles"]
    assert len(styles) == 38
    assert {style["group"] for style in styles} >= {"core", "seasonal", "vocal"}
    told = client.call("expand_prompt", prompt="rainy night coding", seed=7)
    assert told == client.call("expand_prompt", prompt="rainy night coding", seed=7)
    assert told["style"] in {style["id"] for style in styles}
    assert "rainy" in told["prompt"].split(", ")
    assert client.call("expand_prompt", prompt="rain", style="SEASON-06")["style"] == "SEASON-06"
    assert error_of(client, "expand_prompt", prompt="rain", style="SEASON-99")["code"] == -32022
    assert error_of(client, "expand_prompt", prompt="  ")["code"] == -32006
