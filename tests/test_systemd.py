"""What systemd is told, over a real socket."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from chatd.systemd import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket at which systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


@pytest.fixture
def told(manager: socket.socket) -> Callable[[], list[str]]:
    """Takes what systemd was told since the last time, a string a message."""

    def take() -> list[str]:
        messages = []
        while True:
            try:
                messages.append(manager.recv(4096).decode())
            except BlockingIOError:
                return messages

    return take


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """The reasons of what was logged as a warning."""
    found: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_level"].name == "warn":
            found.append(event["why"])

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


READY = f"READY=1\nSTATUS=here\nMAINPID={os.getpid()}"


def test_ready_and_stopping(tmp_path: Path, clock: Clock, told: Callable[[], list[str]]) -> None:
    """When chatd is ready, reloads and stops, systemd is told."""
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "HOME": "/"}
    notifier = Notifier.of(environment, clock)
    assert environment == {"HOME": "/"}
    notifier.ready("here")
    assert told() == [READY]
    notifier.reloading()
    (reloading,) = told()
    word, microseconds = reloading.split("\n")
    assert word == "RELOADING=1"
    assert microseconds.removeprefix("MONOTONIC_USEC=").isdecimal()
    notifier.ready("here")
    notifier.stopping()
    assert told() == [READY, "STOPPING=1\nSTATUS=stopping"]


def test_reload_at_a_time(tmp_path: Path, clock: Clock, told: Callable[[], list[str]]) -> None:
    """A reload is told with the machine's time in microseconds, as systemd reads it."""
    notifier = Notifier(str(tmp_path / "notify"), 0.0, clock, lambda: 1_234_567_999)
    notifier.reloading()
    assert told() == ["RELOADING=1\nMONOTONIC_USEC=1234567"]


@pytest.mark.parametrize("pid", ["", str(os.getpid())])
def test_watchdog(pid: str, tmp_path: Path, clock: Clock, told: Callable[[], list[str]]) -> None:
    """From ready to stopping there is a sign of life twice in the watchdog's time."""
    environment = {
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": pid,
    }
    notifier = Notifier.of(environment, clock)
    assert environment == {}
    clock.advance(100)
    assert told() == []
    notifier.ready("here")
    assert told() == [READY, "WATCHDOG=1"]
    clock.advance(14.9)
    assert told() == []
    clock.advance(0.1)
    assert told() == ["WATCHDOG=1"]
    notifier.reloading()
    notifier.ready("here")
    clock.advance(15)
    assert told()[2:] == ["WATCHDOG=1"]
    notifier.stopping()
    told()
    clock.advance(100)
    assert told() == []


@pytest.mark.parametrize(
    "changed", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "0"}]
)
def test_watchdog_of_somebody_else(
    changed: dict[str, str], tmp_path: Path, clock: Clock, told: Callable[[], list[str]]
) -> None:
    """Where no sign of life of this process is asked for, there is none."""
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
    Notifier.of(environment | changed, clock).ready("here")
    assert told() == [READY]


def test_socket_without_a_file(clock: Clock) -> None:
    """The socket may have a name that is no file."""
    name = f"chatd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        Notifier.of({"NOTIFY_SOCKET": f"@{name}"}, clock).ready("here")
        assert listening.recv(4096).decode() == READY


def test_nobody_asked(clock: Clock, warnings: list[str]) -> None:
    """Without systemd nothing is told, and nothing is wrong."""
    notifier = Notifier.of({"WATCHDOG_USEC": "1000000"}, clock)
    notifier.ready("here")
    notifier.reloading()
    notifier.stopping()
    assert warnings == []


def test_nobody_listens(tmp_path: Path, clock: Clock, warnings: list[str]) -> None:
    """A socket that nobody is at is logged once, not at every sign of life."""
    address = tmp_path / "other"
    notifier = Notifier.of({"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "2000000"}, clock)
    notifier.ready("here")
    clock.pump([1] * 5)
    assert warnings == ["No such file or directory"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(address))
        clock.advance(1)
        assert listening.recv(4096) == b"WATCHDOG=1"
    clock.advance(1)
    notifier.stopping()
    assert warnings == ["No such file or directory", "Connection refused"]


def test_name_that_is_too_long(clock: Clock, warnings: list[str]) -> None:
    """A name that no socket can have is logged as well."""
    Notifier.of({"NOTIFY_SOCKET": "/" + "x" * 200}, clock).ready("here")
    assert warnings == ["AF_UNIX path too long"]


def test_systemd_that_does_not_listen(
    tmp_path: Path, clock: Clock, manager: socket.socket, warnings: list[str]
) -> None:
    """A socket that nobody reads any more doesn't hold the server up."""
    notifier = Notifier.of({"NOTIFY_SOCKET": str(tmp_path / "notify")}, clock)
    for _ in range(100_000):
        if warnings:
            break
        notifier.reloading()
    assert warnings == ["Resource temporarily unavailable"]
