"""Compiling ahead: what is compiled, when it waits, and that it keeps to the room there is."""

import asyncio
import logging
import threading
import time

import pytest
from laboratory import in_a_loop
from test_live import compiled_functions

from widelimit.lab import _ahead
from widelimit.lab._ahead import Ahead
from widelimit.lab._worker import Memory, Worker
from widelimit.recipes import live
from widelimit.recipes.live import LiveConfig


def prepared(memory, state, quiet=lambda: 99.0):
    """Return the states that are compiled ahead of a state."""
    done = []
    ahead = Ahead(memory, quiet, lambda config, wait: done.append(config))
    ahead.note(state)
    ahead.prepare()
    return done


def controls(state, others):
    return [tuple(k for k, v in vars(state).items() if getattr(other, k) != v) for other in others]


@pytest.mark.parametrize(
    "state", [LiveConfig(), LiveConfig(width=4096), LiveConfig(width=8, depth=6, activation="relu", freeze=True)]
)
def test_neighbours_are_one_control_away_and_allowed(state):
    found = live.neighbours(state)
    assert all(len(changed) == 1 for changed in controls(state, found))
    assert {c for changed in controls(state, found) for c in changed} >= {"activation", "parameterization", "freeze"}
    assert len(set(found)) == len(found)
    assert all(live.clamp(config) == (config, ()) for config in found)


def test_it_keeps_to_its_room():
    gone = []
    memory = Memory(12, 5, gone.append)
    memory.note(live.code_of(LiveConfig()))
    found = prepared(memory, LiveConfig())
    assert found == list(live.neighbours(LiveConfig())[:5])
    assert gone == []
    # Those of an older state make room.
    assert len(prepared(memory, LiveConfig(width=512))) == 5
    assert set(gone) <= {live.code_of(config) for config in found}


def test_what_is_there_is_not_compiled_again():
    memory = Memory(99, 99)
    first = prepared(memory, LiveConfig())
    again = prepared(memory, LiveConfig(width=128))
    assert len(first) == len(live.neighbours(LiveConfig()))
    assert again
    assert not set(first) & set(again)


def test_a_newer_state_comes_first_and_waiting_pages_before_both():
    memory, order = Memory(99, 99), []
    newer = LiveConfig(width=512)

    def compile_one(config, wait):
        order.append(config)
        wait()
        ahead.note(newer)

    def quiet():
        order.append("asked")
        return 0.0 if len(order) < 3 else 99.0

    ahead = Ahead(memory, quiet, compile_one)
    ahead.note(LiveConfig())
    ahead.prepare()
    assert order == ["asked", "asked", "asked", live.neighbours(LiveConfig())[0], "asked", "asked"]


def test_an_error_is_logged_and_the_thread_goes_on(caplog):
    done = threading.Event()

    def compile_one(config, wait):
        if config.width == 32:
            raise RuntimeError("no compiler")
        done.set()

    ahead = Ahead(Memory(99, 99), lambda: 99.0, compile_one)
    ahead.start()
    with caplog.at_level(logging.ERROR):
        ahead.note(LiveConfig(width=16))
        while not caplog.records:
            time.sleep(0.01)
        ahead.note(LiveConfig(width=512))
        assert done.wait(60)
    assert "no compiler" in str(caplog.records[0].exc_info[1])


def test_a_worker_is_quiet_once_its_jobs_have_ended():
    async def play():
        worker, gate = Worker("test", 1), threading.Event()
        jobs = [asyncio.create_task(worker.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert worker.quiet() == 0.0
        jobs[1].cancel()
        gate.set()
        await jobs[0]
        while worker.quiet() == 0.0:
            await asyncio.sleep(0.01)
        worker.close()

    in_a_loop(play())


def test_a_state_that_was_compiled_ahead_compiles_nothing(caplog):
    live.forget()  # Between files JAX is told to forget, which a live run does not hear of.
    live.compile_ahead(LiveConfig(width=8, activation="sin"), lambda: None)
    assert compiled_functions(caplog, LiveConfig(width=8, activation="sin", seed=3)) == set()


@pytest.mark.skipif(not hasattr(_ahead.os, "setpriority"), reason="priorities of POSIX")
def test_its_priority_is_low_and_that_of_others_is_not():
    found = []

    def work():
        _ahead._lower_priority()
        found.append(_ahead.os.getpriority(_ahead.os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if _ahead.sys.platform == "linux":
        own = _ahead.os.getpriority(_ahead.os.PRIO_PROCESS, threading.get_native_id())
        assert found == [max(own, _ahead.NICE)]
