"""Scanning: what a command of the operator's says of a file, whatever kind of command that is."""

import shlex
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from chatd.domain.filenames import FileName
from chatd.domain.names import Key, Name
from chatd.domain.records import Transfer
from chatd.scan import Scanner
from tests.conftest import LoggedErrors
from tests.threads import in_reactor, reactor, soon

BROKEN = "the server's scanner could not look at it."
TRANSFER = Transfer(
    id=1,
    spool="0123abcd",
    sender=Key("alice"),
    sender_name=Name("alice"),
    to="bob",
    room=None,
    name=FileName("notes of today.pdf"),
    size=None,
    sha256="",
    created=0.0,
    expires=0.0,
    ticket="",
    ticket_expires=0.0,
)


def shell(script: str) -> str:
    """A command that runs a script; the file's path is its $0."""
    return f"sh -c {shlex.quote(script)}"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A directory with a file in it."""
    directory = tmp_path / "spool directory"
    directory.mkdir()
    (directory / TRANSFER.spool).write_text("virus\n")
    return directory


@pytest.mark.parametrize(
    "command",
    [
        "",
        "   ",
        "true",
        shell("echo all is well"),
        shell('test "$(cat "$0")" = virus'),
        shell("case $0 in /*) test $# = 0;; *) exit 1;; esac"),
        "grep -q virus",
    ],
)
@in_reactor
async def test_let_through(spool: Path, command: str) -> None:
    """A command that ends well has nothing against a file, whatever it says."""
    assert await soon(Scanner(command, spool, reactor).scan(TRANSFER)) is None


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("false", BROKEN),
        ("grep -qv virus", BROKEN),
        (shell("echo Eicar FOUND; exit 1"), "Eicar FOUND"),
        (shell("echo Eicar FOUND >&2; exit 2"), "Eicar FOUND"),
        (shell("echo; echo ' first '; echo second; exit 1"), "first"),
        (shell('echo "$0: Eicar FOUND"; exit 1'), "notes of today.pdf: Eicar FOUND"),
        (
            shell("printf 'a\\033[2Jb\\377'; exit 1"),
            "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}",
        ),
        (shell("cat; exit 1"), BROKEN),
        (shell("head -c 100000 /dev/zero | tr '\\0' x; exit 1"), "x" * 200),
        (shell("kill -9 $$"), BROKEN),
        (shell("echo I fall; kill -9 $$"), BROKEN),
        (f"{sys.executable} -c 'import nothing.of.this.name'", BROKEN),
    ],
)
@in_reactor
async def test_refused(spool: Path, command: str, text: str) -> None:
    """Any other end refuses a file, with the first line of what the command says of it."""
    assert await soon(Scanner(command, spool, reactor).scan(TRANSFER)) == text


@pytest.mark.parametrize("command", ["/no/such/scanner", "no-such-scanner", "/etc/passwd"])
@in_reactor
async def test_no_scanner(spool: Path, command: str, logged_errors: LoggedErrors) -> None:
    """Where the command can't be run no file gets through, and the operator reads why."""
    assert await soon(Scanner(command, spool, reactor).scan(TRANSFER)) == BROKEN
    (error,) = logged_errors.flush()
    assert error["command"] == command


@pytest.mark.parametrize("script", ["exec sleep 20", "sleep 20; true", "sleep 20 & exit 0"])
@in_reactor
async def test_too_long(spool: Path, script: str) -> None:
    """A command that doesn't end is killed, and nothing that it has started holds a file up."""
    verdict = await soon(Scanner(shell(script), spool, reactor, 0.1).scan(TRANSFER))
    assert verdict == (None if "exit 0" in script else BROKEN)


@attrs.define
class Processes(Clock):
    """A reactor in which processes end when the test lets them."""

    running: list[ProcessProtocol] = attrs.field(factory=list)

    def __attrs_pre_init__(self) -> None:
        Clock.__init__(self)

    def spawnProcess(self, run: ProcessProtocol, *_: Any, env: None) -> None:
        """Begin one."""
        self.running.append(run)
        run.makeConnection(self)

    def closeStdin(self) -> None:
        """Nothing is read."""

    def end(self) -> None:
        """Let the oldest one end well."""
        self.running.pop(0).processEnded(Failure(ProcessDone(0)))


def test_few_at_once(spool: Path) -> None:
    """However many files are here at one moment, only a few are looked at, and then the next."""
    processes = Processes()
    scanner = Scanner("true", spool, processes)
    verdicts: list[str | None] = []
    for _ in range(9):
        Deferred.fromCoroutine(scanner.scan(TRANSFER)).addCallback(verdicts.append)
    assert len(processes.running) == 4
    for count in range(9):
        assert len(verdicts) == count
        processes.end()
    assert (verdicts, processes.running) == ([None] * 9, [])
    assert processes.getDelayedCalls() == []
