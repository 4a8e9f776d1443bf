"""The real ``ssh`` of OpenSSH, run in the test's own reactor against a server that runs there too.

Every wait ends after some seconds, so that a server that says nothing fails the test.
"""

import fcntl
import re
import struct
import subprocess
import termios
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.config import Door
from chatd.doors.manhole import Settings
from tests.sockets import eventually, reactor

KEYS = {"ed25519": "ed25519", "rsa": "rsa", "stranger": "ed25519"}
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def manhole(listen: str = "tcp:0", **settings: Any) -> Door:
    """An admin shell as it is configured, for the keys in ``admins.pub``."""
    return Door("manhole", (listen,), Settings("admins.pub", **settings))


class SshProcess(ProcessProtocol):
    """A client that runs, what it has written, and how it ended."""

    transport: Any

    def __init__(self) -> None:
        self.out = self.err = ""
        self.status: int | None = None

    def outReceived(self, data: bytes) -> None:
        """Remember it."""
        self.out += data.decode()

    def errReceived(self, data: bytes) -> None:
        """Remember it."""
        self.err += data.decode()

    def processEnded(self, reason: Failure) -> None:
        """Remember how."""
        self.status = getattr(reason.value, "exitCode", None) or 0

    def type(self, text: str) -> None:
        """Type something."""
        self.transport.write(text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the terminal."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.transport.fileno(), termios.TIOCSWINSZ, size)

    async def until(self, text: str) -> str:
        """Wait until this is on the screen; what was shown before it is taken away."""
        await eventually(lambda: text in _plain(self.out) or self.status is not None)
        before, found, after = _plain(self.out).partition(text)
        assert found, f"ended with {self.status} before {text!r}: {before}{self.err}"
        self.out = after
        return before + found

    async def enter(self, text: str, answer: str) -> str:
        """Type a line, and wait until its answer is on the screen, and a prompt after it."""
        self.type(f"{text}\r")
        shown = await self.until(answer)
        await self.until(">>> ")
        return shown

    async def end(self) -> int:
        """Wait for its end; its status."""
        await eventually(lambda: self.status is not None)
        assert self.status is not None
        return self.status


@attrs.define(eq=False)
class Ssh:
    """Starts ``ssh`` as somebody who has some of the keys."""

    directory: Path
    started: list[SshProcess] = attrs.field(factory=list)

    def public(self, key: str) -> str:
        """The line of a public key."""
        return (self.directory / f"{key}.pub").read_text()

    def start(
        self, port: int, *words: str, key: str = "ed25519", tty: bool = False, **options: Any
    ) -> SshProcess:
        """Start it; ``words`` are what it is to run there."""
        settings = {
            "UserKnownHostsFile": str(self.directory / "known_hosts"),
            "StrictHostKeyChecking": "accept-new",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
            **options,
        }
        given = [f"-o{name}={value}" for name, value in settings.items()]
        identity = str(self.directory / key)
        command = ["ssh", "-F", "none", "-p", str(port), "-i", identity, *given, "127.0.0.1"]
        client = SshProcess()
        reactor.spawnProcess(client, command[0], [*command, *words], env=None, usePTY=tty)
        if tty:
            client.resize(80, 24)
        self.started.append(client)
        return client

    async def run(
        self, port: int, *words: str, typed: str = "", **how: Any
    ) -> tuple[int, str, str]:
        """Run it to its end: its status, its output and its errors."""
        client = self.start(port, *words, **how)
        client.type(typed)
        client.transport.closeStdin()
        return await client.end(), client.out, client.err

    async def open(self, port: int, **how: Any) -> SshProcess:
        """Log in at a terminal, up to the prompt."""
        client = self.start(port, tty=True, **how)
        await client.until(">>> ")
        return client


@pytest.fixture(scope="session")
def ssh_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with keys for everybody, each with its name as the comment."""
    directory = tmp_path_factory.mktemp("ssh")
    for name, kind in KEYS.items():
        file = directory / name
        words = ["ssh-keygen", "-q", "-N", "", "-t", kind, "-C", f"{name} key", "-f", str(file)]
        subprocess.run(words, check=True)
    return directory


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def ssh(ssh_keys: Path, tmp_path: Path) -> AsyncIterator[Ssh]:
    """Clients, and the file of those who may log in; those that still run are ended."""
    made = Ssh(ssh_keys)
    state = tmp_path / "state"
    state.mkdir()
    (state / "admins.pub").write_text(made.public("ed25519") + made.public("rsa"))
    yield made
    for client in made.started:
        if client.status is None:
            client.transport.signalProcess("KILL")
        await client.end()
    (ssh_keys / "known_hosts").unlink(missing_ok=True)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What is logged, as text."""
    lines: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def _plain(shown: str) -> str:
    """What is on a screen, without what only moves its cursor."""
    return _CONTROL.sub("", shown)
