"""The live run of a page, with a stand-in that computes nothing: order, acknowledgement, newest wins, fairness."""

import asyncio
import threading
import time

import laboratory
import numpy as np
import pytest

from widelimit.lab import _protocol as protocol
from widelimit.lab._failures import Gone
from widelimit.lab._player import Player
from widelimit.lab._worker import Memory, Worker, prune
from widelimit.recipes.live import Frame, LiveConfig, LivePhase


class StandIn:
    """Counts its steps; converges at ``end``, and fails where it is told to."""

    def __init__(self, config, end=10**9, fails_at=None):
        self.config, self.end, self.fails_at, self.step = config, end, fails_at, 0

    def frame(self):
        phase = LivePhase.CONVERGED if self.step >= self.end else LivePhase.TRAINING
        return Frame(self.step, phase, {"width": self.config.width}, {"a": np.zeros(3, np.float32)}, "As it is.")

    @property
    def opening(self):
        return self.frame()

    def pace(self, wanted=0):
        return wanted or 2

    def advance(self, steps):
        if self.fails_at is not None and self.step + steps >= self.fails_at:
            raise ValueError("the step is too long.")
        self.step = min(self.step + steps, self.end)
        return self.frame()

    def rewind(self):
        self.step = 0
        return self.frame()


class Page:
    """The other end of a player: keeps what was sent, and acknowledges frames if it is told to."""

    def __init__(self, worker, open_run=StandIn, acknowledge=True):
        self.heard, self.news, self.acknowledge, self.gone = [], asyncio.Condition(), acknowledge, False
        self.player = Player(worker, open_run, self.send)
        self.playing = asyncio.create_task(self.player.play())

    async def send(self, message):
        if self.gone:
            raise Gone
        if isinstance(message, bytes):
            message, _ = protocol.decode_frame(message)
            if self.acknowledge:
                self.player.tell(protocol.Ack(message.run, message.frame))
        async with self.news:
            self.heard.append(message)
            self.news.notify_all()

    async def until(self, wanted):
        """Return the first message for which ``wanted`` holds, heard before or still to come."""
        async with self.news:
            await self.news.wait_for(lambda: any(wanted(m) for m in self.heard))
        return next(m for m in self.heard if wanted(m))

    def frames(self):
        return [m for m in self.heard if isinstance(m, protocol.Header)]


def step_of(run, step):
    return lambda m: isinstance(m, protocol.Header) and (m.run, m.step) == (run, step)


def phase_of(run, phase):
    return lambda m: isinstance(m, protocol.PhaseChange) and (m.run, m.phase) == (run, phase)


def in_a_loop(play, threads=1):
    """Run a coroutine function with a worker."""

    async def main():
        worker = Worker("test", threads)
        try:
            await asyncio.wait_for(play(worker), 60)
        finally:
            worker.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    laboratory.in_a_loop(main())


def test_a_run_is_stepped_paused_and_rewound_in_words():
    async def play(worker):
        page = Page(worker)
        page.player.open(protocol.Open(1, LiveConfig(width=100), play=False))
        assert (await page.until(phase_of(1, "paused"))).text == "Paused at step 0."
        opened, compiling, frame, _ = page.heard
        assert (opened.config.width, [change.control for change in opened.changes]) == (128, ["width"])
        assert (compiling.phase, frame.opening, frame.numbers) == ("compiling", True, {"width": 128})
        page.player.tell(protocol.Step(1, 700))
        await page.until(step_of(1, 700))
        await page.until(lambda m: getattr(m, "text", "") == "Paused at step 700.")
        assert [frame.step for frame in page.frames()] == [0, 700]
        page.player.tell(protocol.Rewind(1))
        await page.until(lambda m: isinstance(m, protocol.Header) and m.frame == 2)
        assert page.frames()[-1].step == 0
        page.player.tell(protocol.Pace(1, 5))
        page.player.tell(protocol.Play(1))
        await page.until(step_of(1, 15))
        page.player.tell(protocol.Pause(1))
        assert [frame.step for frame in page.frames()][3:6] == [5, 10, 15]

    in_a_loop(play)


def test_at_most_two_frames_are_on_the_way():
    async def play(worker):
        page = Page(worker, acknowledge=False)
        page.player.open(protocol.Open(1, LiveConfig()))
        await page.until(step_of(1, 2))
        await asyncio.sleep(0.3)
        assert len(page.frames()) == protocol.UNACKNOWLEDGED
        page.player.tell(protocol.Ack(2, 0))
        page.player.tell(protocol.Ack(1, 77))
        await asyncio.sleep(0.2)
        assert len(page.frames()) == protocol.UNACKNOWLEDGED
        page.player.tell(protocol.Ack(1, 0))
        await page.until(step_of(1, 4))

    in_a_loop(play)


def test_frames_keep_their_distance():
    async def play(worker):
        page = Page(worker)
        page.player.open(protocol.Open(1, LiveConfig()))
        await page.until(step_of(1, 2))
        began = time.monotonic()
        await page.until(step_of(1, 42))
        # Twenty frames more; the first may come at once.
        assert time.monotonic() - began > 19 / protocol.FRAMES_PER_SECOND - 0.01

    in_a_loop(play)


def test_the_newest_run_wins_and_those_between_are_never_opened():
    gate, opened = threading.Event(), []

    def slow(config):
        opened.append(config.width)
        gate.wait()
        return StandIn(config)

    async def play(worker):
        page = Page(worker, slow)
        page.player.open(protocol.Open(1, LiveConfig(width=16)))
        await page.until(phase_of(1, "compiling"))
        for run, width in ((2, 32), (3, 64), (4, 128)):
            page.player.open(protocol.Open(run, LiveConfig(width=width)))
            await asyncio.sleep(0.02)
        page.player.tell(protocol.Pause(1))
        gate.set()
        await page.until(step_of(4, 2))
        assert opened == [16, 128]
        assert {frame.run for frame in page.frames()} == {4}

    in_a_loop(play)


def test_the_end_of_a_run_is_told_once_and_it_can_be_rewound():
    async def play(worker):
        page = Page(worker, lambda config: StandIn(config, end=3))
        page.player.open(protocol.Open(1, LiveConfig()))
        assert "step 3" in (await page.until(phase_of(1, "converged"))).text
        page.player.tell(protocol.Play(1))
        page.player.tell(protocol.Step(1, 5))
        await asyncio.sleep(0.1)
        assert page.frames()[-1].step == 3
        assert sum(phase_of(1, "converged")(m) for m in page.heard) == 1
        page.player.tell(protocol.Rewind(1))
        await page.until(phase_of(1, "paused"))
        assert page.frames()[-1].step == 0

    in_a_loop(play)


def test_a_run_that_fails_says_so_and_the_next_one_plays():
    async def play(worker):
        page = Page(worker, lambda config: StandIn(config, fails_at=4 if config.width == 16 else None))
        page.player.open(protocol.Open(1, LiveConfig(width=16)))
        failed = await page.until(lambda m: isinstance(m, protocol.Failed))
        assert (failed.run, failed.task, failed.text) == (1, 0, "The step is too long.")
        page.player.open(protocol.Open(2, LiveConfig(step=float("nan"))))
        failed = await page.until(lambda m: isinstance(m, protocol.Failed) and m.run == 2)
        assert "step is nan" in failed.text.lower()
        page.player.open(protocol.Open(3, LiveConfig(width=32)))
        await page.until(step_of(3, 6))

    in_a_loop(play)


def test_an_error_of_the_program_is_told_and_logged(caplog):
    def broken(config):
        raise KeyError("lost")

    async def play(worker):
        page = Page(worker, broken)
        page.player.open(protocol.Open(1, LiveConfig()))
        failed = await page.until(lambda m: isinstance(m, protocol.Failed))
        assert "error in the program: KeyError: 'lost'" in failed.text

    in_a_loop(play)
    assert [record.exc_info[0] for record in caplog.records] == [KeyError]


def test_a_page_that_leaves_ends_its_player_quietly(caplog):
    async def play(worker):
        page = Page(worker)
        page.player.open(protocol.Open(1, LiveConfig()))
        await page.until(step_of(1, 2))
        page.gone = True
        await page.playing

    in_a_loop(play)
    assert caplog.records == []


def test_pages_take_turns():
    async def play(worker):
        pages = [Page(worker) for _ in range(5)]
        for page in pages:
            page.player.open(protocol.Open(1, LiveConfig()))
        await pages[0].until(step_of(1, 40))
        counts = [len(page.frames()) for page in pages]
        assert max(counts) - min(counts) <= 2, counts

    in_a_loop(play)


def memory(most, ahead=2):
    """Return a memory, and the list of what it lets go ("all" for everything)."""
    gone = []
    return Memory(most, ahead, gone.append, lambda: gone.append("all")), gone


def test_the_code_that_was_asked_for_longest_ago_is_let_go_first():
    kept, gone = memory(3)
    for shape in (1, 2, 1, 3, 2, 1):
        kept.note(shape)
    assert gone == []
    kept.note(4)
    kept.note(5)
    assert gone == [3, 2]
    kept.note(4)
    kept.note(3)
    assert gone == [3, 2, 1]


def test_the_code_of_an_experiment_goes_with_all_other_code():
    kept, gone = memory(3)
    kept.note("experiment", 2)
    kept.note(1)
    kept.note(2)
    assert gone == ["all"]
    kept.note("larger than all", 9)
    assert gone == ["all", 2]
    kept.note("larger than all", 9)
    kept.note(3)
    assert gone == ["all", 2, "all"]


def test_what_was_compiled_ahead_has_room_of_its_own():
    kept, gone = memory(2)
    kept.note(1)
    assert [kept.reserve(shape) for shape in (1, 2, 2, 3)] == [False, True, False, True]
    assert kept.reserve(4)
    assert gone == [2]
    kept.note(3)
    assert not kept.reserve(3)
    assert kept.reserve(5)
    assert gone == [2]
    kept.note(6)
    assert gone == [2, 1]


def test_now_and_then_everything_goes():
    kept, gone = memory(2)
    for shape in range(13):
        kept.note(shape)
    assert gone == [*range(10), "all"]


def test_the_oldest_files_of_the_cache_are_deleted_first(tmp_path):
    import os

    for age, name in enumerate("abcd"):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    (tmp_path / "folder").mkdir()
    prune(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "folder"]
    prune(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "folder"]


@pytest.mark.parametrize("message", [protocol.Play(9), protocol.Step(9), protocol.Rewind(9), protocol.Ack(9, 0)])
def test_what_belongs_to_no_run_is_ignored(message):
    async def play(worker):
        page = Page(worker)
        page.player.tell(message)
        page.player.open(protocol.Open(1, LiveConfig(), play=False))
        await page.until(phase_of(1, "paused"))
        page.player.tell(message)
        await asyncio.sleep(0.05)
        assert [frame.step for frame in page.frames()] == [0]

    in_a_loop(play)
