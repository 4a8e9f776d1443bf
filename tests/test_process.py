"""The process around a chat server: where its log goes, and what SIGHUP does."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.application.service import Application, Service
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from chatd.config import Log
from chatd.domain.errors import BadConfiguration
from chatd.logs import LogFile
from chatd.process import Process, log_of
from chatd.systemd import Notifier
from tests.conftest import LoggedErrors
from tests.fakes import spawn
from tests.sockets import eventually, reactor
from tests.test_signals import hang_up

ensure = pytest_twisted.ensureDeferred

HERE = Path.cwd()


@pytest.mark.parametrize(
    ("file", "command", "path"),
    [
        ("", {"nodaemon": True}, None),
        ("", None, None),
        ("a.log", {"nodaemon": True}, Path("a.log")),
        ("a.log", {"nodaemon": False}, Path("a.log")),
        ("a.log", {"nodaemon": True, "logfile": "b.log"}, HERE / "b.log"),
        ("a.log", {"nodaemon": True, "logfile": "-"}, None),
        ("", {"nodaemon": False, "logfile": "/var/log/b.log"}, Path("/var/log/b.log")),
        ("", {"nodaemon": False}, HERE / "twistd.log"),
    ],
)
def test_where_the_log_goes(file: str, command: dict[str, Any], path: Path | None) -> None:
    """The command line says where the log goes, or the configuration, or it's where twistd's is."""
    log = log_of(Log("json", file), command)
    assert log is not None
    assert (log.format, log.path) == ("json", path)


@pytest.mark.parametrize(
    "command",
    [
        {"nodaemon": True, "logger": "somebody.else"},
        {"nodaemon": False, "syslog": True},
        {"nodaemon": False, "logfile": "-"},
    ],
)
def test_another_log(command: dict[str, Any]) -> None:
    """Another kind of log that twistd is asked for is twistd's to write, or to refuse."""
    assert log_of(Log("text", "a.log"), command) is None


class Manager:
    """A service manager that notes the first word of whatever it is told."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._told: list[str] = []
        self.notifier = Notifier(str(path), 0.0, reactor)

    @property
    def told(self) -> list[str]:
        """What it was told until now."""
        with suppress(BlockingIOError):
            while True:
                self._told.append(self._socket.recv(4096).decode().partition("=")[0])
        return self._told

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """Whom the process tells how it is."""
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


class Chat(Service):
    """A chat server that notes what is asked of it, and answers what the test says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Deferred[tuple[str, ...]] = Deferred()
        self.stopped: Deferred[None] = Deferred()

    def stopService(self) -> "Deferred[None]":
        """Stop when the test says so."""
        return self.stopped

    async def rehash(self) -> tuple[str, ...]:
        """Answer when the test says so."""
        self.asked.append("rehash")
        return await self.answer

    def reopen(self) -> None:
        """Note it."""
        self.asked.append("reopen")

    def stop(self) -> None:
        """Note it."""
        self.asked.append("stop")


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is logged, with its level, a line each."""
    lines: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        lines.append(f"{event['log_level'].name} {formatEvent(event)}")

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


async def reload(manager: Manager, answer: tuple[str, ...] | Exception) -> None:
    """Start a process, hang up once, let the configuration be read with that answer, and stop."""
    chat = Chat()
    process = Process(reactor, chat, None, manager.notifier, spawn)
    chat.setServiceParent(process)  # type: ignore[no-untyped-call]
    process.startService()
    await eventually(lambda: manager.told == ["READY"])
    hang_up()
    await eventually(lambda: chat.asked == ["reopen", "rehash"])
    assert manager.told == ["READY", "RELOADING"]
    if isinstance(answer, Exception):
        chat.answer.errback(answer)
    else:
        chat.answer.callback(answer)
    await eventually(lambda: manager.told == ["READY", "RELOADING", "READY"])
    stopping = process.stopService()
    assert manager.told[-1] == "STOPPING"
    chat.stopped.callback(None)
    await stopping


@ensure  # type: ignore[untyped-decorator]
async def test_reload(manager: Manager, log: list[str]) -> None:
    """SIGHUP opens the files again and reads the configuration, and tells what is different."""
    await reload(manager, ("name: a, now {b}", "limits.burst: 50, now 100"))
    assert log == ["info name: a, now {b}", "info limits.burst: 50, now 100"]


@ensure  # type: ignore[untyped-decorator]
async def test_reload_with_mistakes(manager: Manager, log: list[str]) -> None:
    """Every mistake of a configuration is a line of the log; the server runs on."""
    await reload(manager, BadConfiguration("chatd.toml:1: a\nchatd.toml:2: b"))
    assert log == [
        "error chatd.toml:1: a",
        "error chatd.toml:2: b",
        "error Nothing was changed.",
    ]


@ensure  # type: ignore[untyped-decorator]
async def test_reload_that_fails(manager: Manager, logged_errors: LoggedErrors) -> None:
    """A mistake of the program is logged with its traceback; the server runs on."""
    await reload(manager, ValueError("no"))
    (event,) = logged_errors.flush()
    assert formatEvent(event) == "the configuration could not be read again"


@ensure  # type: ignore[untyped-decorator]
async def test_stop_in_the_midst_of_a_reload(manager: Manager) -> None:
    """A server that is stopping doesn't say that it is ready, whatever it was doing."""
    chat = Chat()
    process = Process(reactor, chat, None, manager.notifier, spawn)
    chat.setServiceParent(process)  # type: ignore[no-untyped-call]
    process.startService()
    hang_up()
    await eventually(lambda: manager.told == ["READY", "RELOADING"])
    stopping = process.stopService()
    chat.answer.callback(())
    hang_up()  # does nothing; not even end the process
    chat.stopped.callback(None)
    await stopping
    assert manager.told == ["READY", "RELOADING", "STOPPING"]


def test_application(manager: Manager) -> None:
    """The application that twistd runs is told how to log, unless twistd knows better."""
    for log in (LogFile("text"), None):
        application = Application("chatd")
        Process(reactor, Chat(), log, manager.notifier, spawn).setServiceParent(application)
        assert application.getComponent(ILogObserver, None) is log
