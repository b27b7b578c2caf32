"""Moving champion and previous: in turn, killed anywhere, taken for dead, rolled back."""

from __future__ import annotations

import dataclasses
import itertools
import json
import multiprocessing
import shutil
import signal
import threading

import pytest
from mlflow import MlflowClient

from digits.errors import RegistryError
from digits.promotion import champion
from digits.promotion.champion import Pair, moves, pair, promote, rollback, settle
from digits.promotion.owner import myself
from digits.promotion.tickets import journal, tickets
from digits.promotion.turn import LostTurnError, turn
from digits.registry.versions import Version
from tests.integration import promoting

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.integration.promoting"])
LONGEST = 30  # writes of one move; far more than there are


@pytest.fixture
def client(store):
    """Of a registry with three versions and no champion."""
    client = MlflowClient(tracking_uri=store, registry_uri=store)
    promoting.registered(client, 3)
    return client


def version(number):
    return Version("digits", number)


def run(*arguments, target=promoting.move):
    """Run in a process of its own; return its exit code."""
    process = PROCESSES.Process(target=target, args=arguments)
    process.start()
    process.join(60)
    return process.exitcode


def test_champion_moves_and_the_old_one_is_kept(client):
    assert pair(client, "digits") == Pair(None, None)
    assert promote(client, version(1), over=None) == Pair(1, None)
    assert promote(client, version(3), over=1) == Pair(3, 1)
    assert pair(client, "digits") == Pair(3, 1)
    assert [(each.action, each.after) for each in moves(client, "digits")] == [
        ("promote", Pair(1, None)),
        ("promote", Pair(3, 1)),
    ]
    assert tickets(client, "digits") == []


def test_rollback_is_one_step_back_and_forth(client):
    promote(client, version(1), over=None)
    promote(client, version(2), over=1)
    assert rollback(client, "digits") == Pair(1, 2)
    assert pair(client, "digits") == Pair(1, 2)
    assert rollback(client, "digits") == Pair(2, 1)


def test_rollback_without_previous_is_refused_and_leaves_the_line_free(client):
    with pytest.raises(RegistryError, match=r"no previous version .* none was promoted yet"):
        rollback(client, "digits")
    promote(client, version(1), over=None)
    with pytest.raises(RegistryError, match="version 1 is the only champion"):
        rollback(client, "digits")
    assert pair(client, "digits") == Pair(1, None)
    assert tickets(client, "digits") == []


def test_unknown_model_is_refused_and_nothing_is_registered(client):
    with pytest.raises(RegistryError, match="no model letters is registered"):
        rollback(client, "letters")
    names = {model.name for model in client.search_registered_models()}
    assert names == {"digits"}


def test_other_champion_than_the_one_compared_with_moves_nothing(client):
    promote(client, version(1), over=None)
    assert promote(client, version(2), over=None) is None
    assert promote(client, version(2), over=3) is None
    assert pair(client, "digits") == Pair(1, None)
    assert len(moves(client, "digits")) == 1


@pytest.fixture(
    params=[
        pytest.param("first", marks=pytest.mark.slow),
        "second",
        pytest.param("rollback", marks=pytest.mark.slow),
    ]
)
def before(request, client, store, tmp_path):
    """(store, action, number, pair before, pair after) of the moves there are."""
    if request.param != "first":
        promote(client, version(1), over=None)
    if request.param == "rollback":
        promote(client, version(2), over=1)
    told = {
        "first": ("promote", 1, Pair(None, None), Pair(1, None)),
        "second": ("promote", 2, Pair(1, None), Pair(2, 1)),
        "rollback": ("rollback", 0, Pair(2, 1), Pair(1, 2)),
    }
    return store, *told[request.param]


def test_killed_after_any_write_leaves_a_pair_that_the_next_start_finishes(before, tmp_path):
    store, action, number, old, new = before
    made = sum(each is not None for each in (old.champion, old.previous))
    seen = set()
    for write in range(LONGEST):
        copy = tmp_path / f"{write}.db"
        shutil.copy(store.removeprefix("sqlite:///"), copy)
        uri = f"sqlite:///{copy}"
        code = run(uri, action, number, write)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        assert pair(client, "digits") in (old, Pair(old.champion, new.previous), new)
        settle(client, "digits")
        settled = pair(client, "digits")
        assert settled in (old, new)
        assert not tickets(client, "digits")
        assert len(moves(client, "digits")) == made + (settled == new)
        seen.add(settled)
        if code == 0 and write > 0:
            break
        assert code == (-signal.SIGKILL if write else 0)
    assert write > 8
    assert settled == new
    assert seen == {old, new}


@pytest.fixture
def killed(client, store):
    """A registry whose champion is 1, with a promotion of 2 killed before its first alias."""
    promote(client, version(1), over=None)
    assert run(store, "promote", 2, "set_registered_model_alias") == -signal.SIGKILL
    assert pair(client, "digits") == Pair(1, None)
    return client


def test_next_promotion_finishes_the_left_one_first(killed):
    assert promote(killed, version(3), over=1) is None  # by then 2 is champion
    assert pair(killed, "digits") == Pair(2, 1)
    assert promote(killed, version(3), over=2) == Pair(3, 2)


def test_rollback_finishes_the_left_one_first(killed):
    assert rollback(killed, "digits") == Pair(1, 2)


def test_move_to_a_version_that_is_gone_is_undone(killed):
    killed.delete_model_version("digits", "2")
    settle(killed, "digits")
    assert pair(killed, "digits") == Pair(1, None)
    assert not tickets(killed, "digits")


def test_champion_is_not_promoted_over_itself(client):
    promote(client, version(1), over=None)
    assert promote(client, version(1), over=1) == Pair(1, None)
    assert len(moves(client, "digits")) == 1


def test_two_processes_promote_in_turn(client, store):
    promoting.registered(client, 7)
    barrier = PROCESSES.Barrier(2)
    numbers = [[2, 4, 6, 8], [3, 5, 7, 9]]
    both = [
        PROCESSES.Process(target=promoting.promote_in_turn, args=(store, mine, barrier))
        for mine in numbers
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    made = moves(client, "digits")
    assert sorted(move.after.champion for move in made) == list(range(2, 10))
    assert made[0].before == Pair(None, None)
    # Each began where the one before it ended: none was made inside another.
    assert all(later.before == sooner.after for sooner, later in itertools.pairwise(made))
    assert pair(client, "digits") == made[-1].after
    assert not tickets(client, "digits")


def draw(client, *, owner, plan=None):
    """Put a ticket of another process into the line."""
    tags = {"state": "open", "token": "other", "beat": "7", "owner": json.dumps(owner)}
    if plan is not None:
        tags["plan"] = plan
    client.create_registered_model(journal("digits"))
    return client.create_model_version(journal("digits"), source="promotion:/ticket", tags=tags)


ELSEWHERE = {"host": "elsewhere", "place": "elsewhere/1/2", "pid": 1, "started": 5.0}


def finish(mine, left):
    raise AssertionError("there is nothing to finish")


def test_silent_owner_on_another_host_is_waited_for_until_its_lease_ends(client):
    other = draw(client, owner=ELSEWHERE)
    with turn(client, "digits", finish=finish, lease=0.5, patience=30) as mine:
        assert mine.number > int(other.version)
        assert client.get_model_version(journal("digits"), other.version).tags["state"] == "left"


def test_owner_on_another_host_that_gives_signs_of_life_is_not_taken_for_dead(client):
    other = draw(client, owner=ELSEWHERE)
    ended = threading.Event()

    def live():
        beat = 0
        while not ended.wait(0.1):
            beat += 1
            client.set_model_version_tag(journal("digits"), other.version, "beat", str(beat))

    alive = threading.Thread(target=live)
    alive.start()
    try:
        with (
            pytest.raises(RegistryError, match=r"promotion 1 by process 1 on elsewhere has not"),
            turn(client, "digits", finish=finish, lease=1.0, patience=3.0),
        ):
            pass
    finally:
        ended.set()
        alive.join()
    assert [each.number for each in tickets(client, "digits")] == [1]


def test_live_process_on_this_host_is_never_taken_for_dead(client):
    # The second is another thread of this process, which is alive for all that anybody can tell.
    with (
        turn(client, "digits", finish=finish),
        pytest.raises(RegistryError, match="has not ended for"),
        turn(client, "digits", finish=finish, lease=0.1, patience=1.0),
    ):
        pass
    assert not tickets(client, "digits")


def test_number_of_a_process_that_was_given_again_is_a_dead_one(client):
    again = dataclasses.asdict(dataclasses.replace(myself(), started=1.0))
    draw(client, owner=again)
    with turn(client, "digits", finish=finish, patience=1.0):
        pass


class Late(promoting.Disturbed):
    """A promotion of version 2 that is held up before it writes the champion."""

    def __init__(self, uri, meanwhile):
        super().__init__(uri, self._held_up)
        self.meanwhile = meanwhile

    def _held_up(self, moment, number, name):
        meanwhile, aliases = self.meanwhile, pair(self, "digits")
        written = moment == "before" and name == "set_registered_model_alias"
        if written and meanwhile is not None and aliases.previous == 1:
            self.meanwhile = None
            meanwhile()


def test_late_write_of_a_process_that_was_taken_for_dead_is_put_back(client, store):
    promote(client, version(1), over=None)

    def meanwhile():
        (held,) = tickets(client, "digits")
        # Another host takes it for dead, finishes its move and goes on to version 3.
        client.set_registered_model_alias("digits", "champion", "2")
        client.set_model_version_tag(journal("digits"), str(held.number), "state", "done")
        promote(client, version(3), over=2)

    with pytest.raises(LostTurnError, match="taken for dead"):
        promote(Late(store, meanwhile), version(2), over=1)
    assert pair(client, "digits") == Pair(3, 2)
    assert not tickets(client, "digits")


def test_failing_store_leaves_a_move_that_the_same_process_finishes(client, store, monkeypatch):
    promote(client, version(1), over=None)
    broken = RuntimeError("the store went away")

    def fail(moment, number, name):
        if name == "set_registered_model_alias":
            raise broken

    with pytest.raises(RuntimeError, match="went away"):
        promote(promoting.Disturbed(store, fail), version(2), over=1)
    assert pair(client, "digits") == Pair(1, None)
    settle(client, "digits")
    assert pair(client, "digits") == Pair(2, 1)


def test_request_that_was_sent_twice_draws_one_place(client, monkeypatch):
    create = MlflowClient.create_model_version

    def twice(self, *arguments, **named):
        create(self, *arguments, **named)
        return create(self, *arguments, **named)

    monkeypatch.setattr(MlflowClient, "create_model_version", twice)
    promote(client, version(1), over=None)
    assert pair(client, "digits") == Pair(1, None)
    assert not tickets(client, "digits")


def test_move_is_read_as_it_was_written():
    move = champion.Move("promote", Pair(1, None), Pair(2, 1))
    assert champion.Move.from_json(move.to_json()) == move
