"""The real thing: ``twistd -n chatd`` in a process of its own, with real telnet and nc."""

import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.daemon import PATIENCE, Start, Twistd, nc, stored


@pytest.fixture
def telnet() -> Iterator[Callable[[int], Any]]:
    """Starts telnet in a terminal."""
    started: list[Any] = []

    def run(port: int) -> Any:
        child = pexpect.spawn(
            "telnet",
            ["127.0.0.1", str(port)],
            dimensions=(24, 80),
            encoding="utf-8",
            timeout=PATIENCE,
        )
        started.append(child)
        return child

    yield run
    for child in started:
        child.close(force=True)


def test_telnet(start: Start, telnet: Callable[[int], Any]) -> None:
    """Somebody registers over telnet, without the password on the screen, and talks."""
    child = telnet(start().channel)
    child.expect("Name: ")
    child.sendline("bob")
    child.expect("New password: ")
    child.sendline("tiger-lily")
    child.expect("Again: ")
    child.sendline("tiger-lily")
    child.expect(r"Welcome to the general channel, bob\.")
    assert "tiger-lily" not in child.before
    child.expect(r"bob has joined the channel\.")
    child.sendline("hello")
    child.expect(r"hello\r\n\[bob \(\d\d:\d\d:\d\d\)\] hello\r\n")
    child.sendline("/quit")
    child.expect(r"Goodbye, bob\.")
    child.expect("Connection closed by foreign host")


def test_nc(start: Start) -> None:
    """Name, password and a line piped into nc are said, in order, without a byte of telnet."""
    daemon = start()
    nc(daemon.lobby, "bob\nsecret\nsecret\n", "-N")
    assert nc(daemon.channel, "bob\nsecret\nhello\n", "-q1") == (
        "chatd: channel general, 0 of 100 here.\r\nName: Password: "
        "[Server message (TIME)] Welcome to the general channel, bob.\r\n"
        "[Server message (TIME)] bob has joined the channel.\r\n"
        "[bob (TIME)] hello\r\n"
        "[Server message (TIME)] Goodbye, bob.\r\n"
    )


def test_kill(start: Start, tmp_path: Path) -> None:
    """A server killed while several people talk has stored every line that anyone was shown."""
    daemon = start()
    talkers = []
    for name in ("alice", "bob", "carol"):
        talker = socket.create_connection(("127.0.0.1", daemon.channel), timeout=PATIENCE)
        heard = talker.makefile("rb")
        talker.sendall(f"{name}\nsecret\nsecret\n".encode())
        while not heard.readline().endswith(f" {name} has joined the channel.\r\n".encode()):
            pass
        talkers.append((name, talker, heard))
    for name, talker, _ in talkers:
        talker.sendall("".join(f"{name}{n}\n" for n in range(2000)).encode())
    seen = [talkers[0][2].readline() for _ in range(300)]
    daemon.end(signal.SIGKILL)
    for _, talker, heard in talkers:
        # Lines on their way to a client that had sent more than was read die with the connection.
        with suppress(ConnectionResetError):
            seen += heard.readlines()
        heard.close()
        talker.close()
    matches = map(re.compile(rb"\[\w+ \(\S+\)\] (\w+)\r\n").match, seen)
    said = {match[1].decode() for match in matches if match}
    assert len(said) >= 300
    daemon = start()
    lines = stored(tmp_path)
    assert said <= set(lines)
    for name in ("alice", "bob", "carol"):
        of_one = [line for line in lines if line.startswith(name)]
        assert of_one == [f"{name}{n}" for n in range(len(of_one))]
    shown = nc(daemon.channel, "alice\nsecret\n/history 3\n", "-N")
    assert re.findall(r"\] (\w+)\r\n", shown) == lines[-3:]


def test_lock_after_a_crash(start: Start) -> None:
    """An account that was locked is still locked after a crash of the server."""
    daemon = start()
    nc(daemon.lobby, "bob\nsecret\nsecret\n", "-N")
    told = nc(daemon.lobby, "bob\nwrong1\nwrong2\nwrong3\n", "-N")
    assert re.findall(r"\] (.*)\r\n", told) == [
        "Wrong password, 2 tries left.",
        "Wrong password, 1 try left.",
        "Too many wrong passwords: bob is locked for 60 seconds.",
    ]
    daemon.end(signal.SIGKILL)
    told = nc(start().lobby, "bob\nsecret\n", "-N")
    locked = re.findall(r"\] (.*)\r\n", told)[0]
    assert re.fullmatch(r"bob is locked for \d+ more seconds\.", locked)


def test_stop(start: Start, tmp_path: Path) -> None:
    """SIGTERM: everybody is told goodbye, all is stored, and the process ends by that signal."""
    daemon = start()
    with socket.create_connection(("127.0.0.1", daemon.channel), timeout=PATIENCE) as talker:
        talker.sendall(b"bob\nsecret\nsecret\nlast words\n")
        heard = talker.makefile("rb")
        while not heard.readline().endswith(b"last words\r\n"):
            pass
        status, log = daemon.end()
        told = re.sub(rb"\d\d:\d\d:\d\d", b"TIME", heard.read())
        heard.close()
    assert told == b"[Server message (TIME)] The server is stopping. Goodbye.\r\n"
    assert status == -signal.SIGTERM
    assert "chatd has stopped; everything that was accepted is stored" in log
    assert stored(tmp_path) == ["last words"]
    shown = nc(start().channel, "bob\nsecret\n/history\n", "-N")
    assert re.findall(r"\] (.*words)\r\n", shown) == ["last words"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'state = "{state}"\n[[door]]\nkind = "line"\nlisten = "tcp:{port}"',
            "chatd can't start: tcp:{port}:interface=127.0.0.1: Address already in use\n",
        ),
        ('state = "/dev/null"\n', "chatd can't start: /dev/null: File exists\n"),
        (
            # What is no directory stands where files are to be kept.
            'state = "{taken}"\n[[door]]\nkind = "line"\nlisten = "tcp:0"',
            "chatd can't start: {taken}/files: File exists\n",
        ),
        (
            '[[door]]\nkind = "line"\nlisten = "tpc:1"',
            "{file}:3: door.0.listen: \"tpc:1\": no endpoint: Unknown endpoint type: 'tpc'\n",
        ),
        (
            '[[door]]\nkind = "lime"\nlisten = "tcp:1"',
            '{file}:2: door.0.kind: is "lime", but must be one of files, line, manhole '
            '(did you mean "line"?)\n',
        ),
    ],
)
def test_no_start(text: str, told: str, tmp_path: Path, twistd: Twistd) -> None:
    """What keeps it from starting is told in one line, and ends it with status 1."""
    file, other = tmp_path / "chatd.toml", tmp_path / "taken"
    other.mkdir()
    (other / "files").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(text.format(port=port, state=tmp_path / "state", taken=other))
        process = twistd("-c", str(file))
        out, err = process.communicate(timeout=PATIENCE)
    assert (err, process.returncode) == (told.format(port=port, file=file, taken=other), 1)
    assert "Traceback" not in out
