"""A shutdown: its countdown, what it keeps people from, and how it is taken back."""

import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import ShuttingDown
from chatd.domain.events import ASK_NAME, Farewell, Greeted, Welcomed
from chatd.domain.names import Name
from chatd.domain.session import State
from chatd.domain.shutdown import Shutdown
from tests.crowd import announced
from tests.fakes import World, link_of, refused, result_of, sent_to

Heard = list[tuple[float, str]]


@pytest.fixture
def heard() -> Heard:
    """What was announced, and the end, each with its time."""
    return []


@pytest.fixture
def shutdown(clock: Clock, heard: Heard) -> Shutdown:
    """Nothing is under way."""
    return Shutdown(
        clock,
        lambda text: heard.append((clock.seconds(), text)),
        lambda: heard.append((clock.seconds(), "stop")),
    )


def words(heard: Heard) -> list[str]:
    """What was announced, without the sentence around it."""
    return [text.removeprefix("The server shuts down ").removesuffix(".") for _, text in heard]


@pytest.mark.parametrize(
    ("seconds", "times"),
    [
        (0, [0, 0]),
        (1, [0, 1]),
        (2, [0, 1, 2]),
        (5, [0, 1, 2, 3, 4, 5]),
        (12, [0, 2, 7, 8, 9, 10, 11, 12]),
        (60, [0, 30, 50, 55, 56, 57, 58, 59, 60]),
        (90, [0, 30, 60, 80, 85, 86, 87, 88, 89, 90]),
    ],
)
def test_countdown(
    clock: Clock, shutdown: Shutdown, heard: Heard, seconds: int, times: list[int]
) -> None:
    """The time that is left is announced ever more often, and then the server stops."""
    shutdown.begin(seconds, "")
    clock.pump([0.0, *([0.25] * (4 * seconds))])
    assert [at for at, _ in heard] == times
    assert heard[-1] == (seconds, "stop")
    left = [seconds - at for at in times[1:-1]]
    assert words(heard)[1:-1] == [f"in {n} second{'s' if n > 1 else ''}" for n in left]


def test_words(clock: Clock, shutdown: Shutdown, heard: Heard) -> None:
    """What is announced has the time and the reason, each time."""
    shutdown.begin(3601, "new disk")
    clock.advance(1)
    shutdown.begin(0, "new disk")
    shutdown.cancel()
    shutdown.begin(0, "")
    assert [text for _, text in heard] == [
        "The server shuts down in 1 hour 1 minute: new disk",
        "The server shuts down in 60 minutes: new disk",
        "The server shuts down now: new disk",
        "The server shuts down now.",
    ]
    shutdown.cancel()


def test_late_timers_do_not_repeat(clock: Clock, shutdown: Shutdown, heard: Heard) -> None:
    """A server that was too busy to announce in time doesn't announce what is over."""
    shutdown.begin(60, "")
    clock.advance(58.5)  # its one timer comes this late
    clock.pump([0.0] * 5)
    assert words(heard)[:2] == ["in 60 seconds", "in 30 seconds"]
    assert heard[-1] != (58.5, "stop")
    clock.advance(1.5)
    clock.pump([0.0] * 5)
    assert heard[-1] == (60.0, "stop")


def test_nobody_gets_in(clock: Clock, shutdown: Shutdown) -> None:
    """While it counts nobody gets in, and is told how long it is; before and after all may."""
    shutdown.check_open()
    shutdown.begin(60, "")
    clock.advance(20.5)
    with pytest.raises(ShuttingDown) as refusal:
        shutdown.check_open()
    assert str(refusal.value) == "The server shuts down in 40 seconds; nobody can log in now."
    shutdown.cancel()
    shutdown.check_open()


def test_cancelled(clock: Clock, shutdown: Shutdown, heard: Heard) -> None:
    """What is taken back doesn't happen, and can't be taken back twice."""
    assert not shutdown.cancel()
    shutdown.begin(60, "")
    clock.advance(31)
    assert shutdown.cancel()
    assert not shutdown.cancel()
    clock.advance(1000)
    assert words(heard) == ["in 60 seconds", "in 30 seconds"]


def test_another_one(clock: Clock, shutdown: Shutdown, heard: Heard) -> None:
    """A second shutdown takes the place of the first, sooner or later than that."""
    shutdown.begin(60, "one")
    clock.advance(10)
    shutdown.begin(2, "two")
    clock.pump([1, 1, 100])
    assert words(heard) == ["in 60 seconds: one", "in 2 seconds: two", "in 1 second: two", "stop"]


def test_too_late(clock: Clock, shutdown: Shutdown, heard: Heard) -> None:
    """Once the server is stopping nobody can take it back, and nobody gets in."""
    shutdown.begin(1, "")
    clock.advance(1)
    assert words(heard) == ["in 1 second", "stop"]
    assert not shutdown.cancel()
    with pytest.raises(ShuttingDown, match=r"^The server shuts down in 1 second; "):
        shutdown.check_open()


# What it means to people at the door.


def test_who_comes_during_the_countdown(world: World) -> None:
    """Whoever connects is sent away at once, with the reason."""
    world.hub.shutdown.begin(30, "")
    late = world.connect()
    text = "The server shuts down in 30 seconds; nobody can log in now."
    assert sent_to(late) == [Farewell(text, 0.0)]
    assert (late.state, link_of(late).closed) == (State.CLOSING, True)
    world.hub.shutdown.cancel()
    assert sent_to(world.connect()) == [Greeted("chatd", None, 0, 0), ASK_NAME]


@pytest.mark.parametrize("line", ["login bob|secret", "login bob|slow", "signup eve|secret"])
def test_who_logs_in_during_the_countdown(world: World, line: str) -> None:
    """Who was about to log in is refused, and may try again when it is cancelled."""
    world.account("bob")
    session = world.connect()
    sent_to(session)
    if "slow" in line:
        session.receive(line)
    world.hub.shutdown.begin(30, "")
    if "slow" not in line:
        session.receive(line)
    world.passwords.proceed()
    error = ShuttingDown("30 seconds")
    assert sent_to(session) == [*refused(error), ASK_NAME]
    assert result_of(world.hub.roster.online()) == []
    world.hub.shutdown.cancel()
    world.account("bob")
    assert world.ask(session, "login bob|secret") == [Welcomed(Name("bob"), None, "chatd", 0.0)]


def test_everybody_online_hears_it(world: World) -> None:
    """Who is in a channel, in its queue or in the lobby hears the countdown, and then it ends."""
    general = world.channel(capacity=1)
    people = [world.login("alice", general), world.login("bob", general), world.login("carol")]
    stranger = world.connect()
    for one in (*people, stranger):
        sent_to(one)
    world.hub.shutdown.begin(1, "new disk")
    world.turn()
    heard = announced("The server shuts down in 1 second: new disk")
    assert [sent_to(one) for one in people] == [[heard]] * 3
    assert sent_to(stranger) == []
    assert not world.server.stopped
    world.clock.advance(1)
    assert world.server.stopped


def test_the_server_stops_meanwhile(world: World) -> None:
    """A server that is stopped by its system's operator announces nothing any more."""
    world.hub.shutdown.begin(30, "")
    result_of(world.hub.close("The server is stopping. Goodbye."))
    assert not world.hub.shutdown.cancel()
    world.clock.advance(60)
    assert not world.server.stopped
