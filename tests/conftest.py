"""Guards that hold for every test: no timer left, no error logged, no Deferred unhandled."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from chatd.auth import Bcrypt
from tests.daemon import start, twistd
from tests.fakes import Notes, World, spawn
from tests.sockets import servers
from tests.sshclient import logged, ssh, ssh_keys
from tests.threads import COST, CountingPool, Threads, reactor

__all__ = [
    "logged",
    "servers",
    "ssh",
    "ssh_keys",
    "start",
    "twistd",
]  # the fixtures that other modules have

# How long an example takes depends on the machine, and says nothing of the program.
settings.register_profile("chatd", deadline=None)
settings.load_profile("chatd")


@implementer(ILogObserver)
class LoggedErrors:
    """Errors that a test caused on purpose are taken out with :meth:`flush`."""

    def __init__(self) -> None:
        self._found: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        """Observe the log."""
        if event.get("log_failure") is not None or event.get("isError"):
            self._found.append(event)

    def flush(self) -> list[LogEvent]:
        """The errors logged so far, which are no longer held against the test."""
        gc.collect()  # an unhandled Deferred tells when it is collected
        found, self._found = self._found, []
        return found


@pytest.fixture(autouse=True)
def logged_errors() -> Iterator[LoggedErrors]:
    """Fail a test that leaves an error in the log."""
    observer = LoggedErrors()
    globalLogPublisher.addObserver(observer)
    yield observer
    found = observer.flush()
    globalLogPublisher.removeObserver(observer)
    assert not found, [str(event.get("log_failure") or event) for event in found]


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock that only the test moves, and that must have nothing left to do at its end."""
    made = Clock()
    yield made
    assert made.getDelayedCalls() == []


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    """A hub in memory; everybody in it is sent away at the end."""
    made = World(clock)
    yield made
    for session in list(made.hub.sessions):
        spawn(session.lost())
    spawn(made.hub.mail.settle())
    clock.advance(0)


@pytest.fixture
def threads() -> Threads:
    """Where a store's threads hand back their results."""
    return Threads()


@pytest.fixture
def pool() -> Iterator[CountingPool]:
    """Bcrypt's thread."""
    made = CountingPool()
    yield made
    made.stop()
    assert reactor.getDelayedCalls() == []


@pytest.fixture
def hashing(pool: CountingPool) -> Bcrypt:
    """Bcrypt without a bound on who waits, for passwords of at least 4 characters."""
    return Bcrypt(reactor, COST, 0, 4, pool)


@pytest.fixture
def notes(world: World) -> Notes:
    """Commands, besides the real ones, that note what they are asked for."""
    world.hub.commands = made = Notes()
    return made
