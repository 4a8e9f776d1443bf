"""SIGHUP: what it asks for is done in the reactor, one after the other."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from chatd.signals import Hangups
from tests.fakes import spawn
from tests.sockets import eventually, reactor

ensure = pytest_twisted.ensureDeferred


@pytest.fixture
def before() -> Iterator[list[int]]:
    """The signals that went to whoever had them before."""
    caught: list[int] = []
    old = signal.signal(signal.SIGHUP, lambda number, frame: caught.append(number))
    yield caught
    signal.signal(signal.SIGHUP, old)


class Slow:
    """Something that takes until the test lets it end."""

    def __init__(self) -> None:
        self.begun: list[Deferred[None]] = []

    async def __call__(self) -> None:
        """Begin once more."""
        self.begun.append(Deferred())
        await self.begun[-1]

    def end(self) -> None:
        """Let what was begun last end."""
        self.begun[-1].callback(None)


def hang_up() -> None:
    """Send ourselves the signal."""
    os.kill(os.getpid(), signal.SIGHUP)


def times(slow: Slow, number: int) -> Callable[[], bool]:
    """Whether it was begun so often."""
    return lambda: len(slow.begun) == number


@ensure  # type: ignore[untyped-decorator]
async def test_signal(before: list[int]) -> None:
    """The signal starts the work once; afterwards whoever had it before has it again."""
    slow = Slow()
    hangups = Hangups(reactor, spawn, slow)
    hangups.listen()
    hang_up()
    assert slow.begun == []  # not in the midst of what the signal interrupts
    await eventually(times(slow, 1))
    slow.end()
    hang_up()
    await eventually(times(slow, 2))
    slow.end()
    hangups.leave()
    assert before == []
    hang_up()
    assert before == [signal.SIGHUP]


@ensure  # type: ignore[untyped-decorator]
async def test_signals_meanwhile(before: list[int]) -> None:
    """However many signals come while the work is being done, it is done once more."""
    slow = Slow()
    hangups = Hangups(reactor, spawn, slow)
    hangups.listen()
    hang_up()
    await eventually(times(slow, 1))
    for _ in range(3):
        hang_up()
        await turn()
    assert len(slow.begun) == 1
    slow.end()
    assert len(slow.begun) == 2
    slow.end()
    await turn()
    assert len(slow.begun) == 2
    hangups.leave()


@ensure  # type: ignore[untyped-decorator]
async def test_no_signals_at_the_end(before: list[int]) -> None:
    """A signal that comes while the server stops does nothing, and doesn't end it either."""
    slow = Slow()
    hangups = Hangups(reactor, spawn, slow)
    hangups.listen()
    hang_up()
    await eventually(times(slow, 1))
    hang_up()
    await turn()
    hangups.ignore()
    slow.end()
    hang_up()
    await turn()
    assert len(slow.begun) == 1
    hangups.leave()
    assert before == []


@ensure  # type: ignore[untyped-decorator]
async def test_work_that_fails(before: list[int]) -> None:
    """Work that fails is told, and the next signal starts it again."""
    failures: list[str] = []
    slow = Slow()

    async def work() -> None:
        await slow()
        raise ValueError("no")

    def note(running: Deferred[None]) -> None:
        running.addErrback(lambda failure: failures.append(failure.getErrorMessage()))

    hangups = Hangups(reactor, lambda coroutine: note(Deferred.fromCoroutine(coroutine)), work)
    hangups.listen()
    for number in (1, 2):
        hang_up()
        await eventually(times(slow, number))
        slow.end()
    hangups.leave()
    assert failures == ["no", "no"]


async def turn() -> None:
    """Let the reactor do what it was asked to from outside."""
    done: Deferred[None] = Deferred()
    reactor.callFromThread(done.callback, None)
    await done
