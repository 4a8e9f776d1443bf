"""What operators do to a real chatd: nobody gets around it, and a crash undoes nothing."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import attrs
import pytest

from tests.daemon import PATIENCE, Daemon, Start, nc, stored


@attrs.define(eq=False)
class Person:
    """Somebody who is connected."""

    name: str
    _socket: socket.socket
    lines: list[str] = attrs.field(factory=list)
    _rest: str = ""

    def say(self, *lines: str) -> None:
        """Type some lines."""
        self._socket.sendall("".join(f"{line}\n" for line in lines).encode())

    def hear(self, mark: str) -> str:
        """The next line that has this in it, without its time; what stands before it is passed."""
        while (line := self._line()) is not None:
            if mark in line:
                return line
        raise AssertionError(f"closed before {mark!r}: {self.lines[-5:]}")

    def hear_all(self) -> list[str]:
        """Everything from here until the server closes the connection."""
        heard = []
        while (line := self._line()) is not None:
            heard.append(line)
        return heard

    def talk(self) -> None:
        """Say a line after the other, each once the one before was heard, as long as it goes."""
        number = 0
        with suppress(ConnectionError):
            self.say(f"{self.name}-{number}")
            while (line := self._line()) is not None:
                if line == f"[{self.name} (TIME)] {self.name}-{number}":
                    number += 1
                    self.say(f"{self.name}-{number}")

    def leave(self) -> None:
        """Hang up."""
        self._socket.close()

    def _line(self) -> str | None:
        while "\n" not in self._rest:
            try:
                data = self._socket.recv(65_536)
            except ConnectionResetError:
                return None  # it was closed with a line of ours on its way
            if not data:
                return None
            self._rest += data.decode()
        line, _, self._rest = self._rest.partition("\r\n")
        self.lines.append(re.sub(r"\d\d:\d\d:\d\d", "TIME", line))
        return self.lines[-1]


Arrive = Callable[..., Person]


@pytest.fixture
def arrive() -> Iterator[Arrive]:
    """Lets somebody log in whose password is "secret"; the first time he registers."""
    people: list[Person] = []
    known: set[str] = set()

    def run(port: int, name: str) -> Person:
        connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        person = Person(name, connection)
        people.append(person)
        person.say(name, "secret", *([] if name in known else ["secret"]))
        known.add(name)
        person.hear(f", {name}.")
        return person

    yield run
    for person in people:
        person.leave()


def acts(tmp_path: Path) -> list[dict[str, str]]:
    """The audit log, without the times."""
    lines = (tmp_path / "state" / "audit.jsonl").read_text().splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key != "time"} for line in lines
    ]


def refusal(daemon: Daemon, *lines: str) -> str:
    """What somebody is told last who pipes these lines into nc at the channel."""
    told = nc(daemon.channel, "".join(f"{line}\n" for line in lines), "-N")
    found: list[str] = re.findall(r"\[Server message \(TIME\)\] (.*)\r\n", told)
    return found[-2]


def test_kick(start: Start, arrive: Arrive) -> None:
    """Who is kicked is told so, hears the end of the connection, and nc ends; the room goes on."""
    daemon = start("alice")
    alice = arrive(daemon.channel, "alice")
    arrive(daemon.channel, "bob").leave()
    alice.hear("bob has left")
    with subprocess.Popen(
        ["nc", "127.0.0.1", str(daemon.channel)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as bob:
        assert bob.stdin is not None
        assert bob.stdout is not None
        bob.stdin.write("bob\nsecret\n")
        alice.hear("bob has joined the channel.")
        alice.say("/kick general:bob")
        alice.hear("bob has left the channel.")
        alice.hear("Kicked bob.")
        heard, _ = bob.communicate("am I still here?\n", timeout=PATIENCE)
    assert heard.endswith("You have been kicked from the general channel.\n")
    alice.say("gone")
    assert alice.hear("[alice") == "[alice (TIME)] gone"
    alice.say("/kick general:bob")
    alice.hear("bob is not in general.")


def test_mute_through_a_crash(start: Start, arrive: Arrive, tmp_path: Path) -> None:
    """A mute outlasts a new connection and a crash of the server, for the time that was left."""
    daemon = start("alice")
    alice, bob = arrive(daemon.channel, "alice"), arrive(daemon.channel, "bob")
    alice.say("/mute general:bob 500")
    bob.hear("You have been muted for 500 seconds.")
    bob.say("one")
    bob.hear("You are still muted for ")
    alice.say("/mute general:bob 1000")
    bob.hear("You have been muted for 1000 seconds.")
    bob.leave()
    alice.hear("bob has left")
    again = arrive(daemon.channel, "bob")
    again.say("two")
    again.hear("You are still muted for ")
    daemon.end(signal.SIGKILL)
    daemon = start("alice")
    back = arrive(daemon.channel, "bob")
    back.say("/w bob three", "four")
    for _ in range(2):
        left = re.search(r"still muted for (\d+) seconds\.", back.hear("muted"))
        assert left is not None
        assert 1000 - 2 * PATIENCE < int(left[1]) < 1000
    assert stored(tmp_path) == []
    arrive(daemon.channel, "alice").say("/unmute general:bob")
    back.hear("You are no longer muted.")
    back.say("five")
    assert back.hear("[bob") == "[bob (TIME)] five"


def test_ban_through_a_crash(start: Start, arrive: Arrive) -> None:
    """A ban outlasts a crash of the server, for a name and for a network, on every port."""
    daemon = start("alice")
    alice, bob = arrive(daemon.lobby, "alice"), arrive(daemon.channel, "bob")
    alice.say("ban BOB 3d spam", "ban 192.0.2.0/24", "ban ::1 4d")
    assert bob.hear_all()[-1] == (
        "[Server message (TIME)] You have been banned from this server: spam"
    )
    assert refusal(daemon, "bob", "secret") == ("bob is banned from this server for 3 days: spam")
    alice.hear("Banned ::1 for 4 days.")
    daemon.end(signal.SIGKILL)
    daemon = start("alice")
    for port in (daemon.channel, daemon.lobby):
        assert "bob is banned from this server for 3 days: spam" in nc(port, "Bob\n", "-N")
    alice = arrive(daemon.lobby, "alice")
    alice.say("bans", "unban bob")
    alice.hear("bob, for 3 days more, by alice: spam")
    alice.hear("192.0.2.0/24, for ever, by alice.")
    alice.hear("::1, for 4 days more, by alice.")
    alice.hear("bob is no longer banned.")
    arrive(daemon.channel, "bob")


def test_shutdown(start: Start, arrive: Arrive, tmp_path: Path) -> None:
    """Fifty people talk while the server is shut down: all that they heard said is stored."""
    daemon = start("alice")
    talkers = [
        arrive(daemon.channel, f"talker{one}{two}") for one in "abcde" for two in "0123456789"
    ]
    alice = arrive(daemon.channel, "alice")
    threads = [Thread(target=talker.talk) for talker in talkers]
    for thread in threads:
        thread.start()
    alice.say("/shutdown 2 new disks")
    alice.hear("The server stops in 2 seconds.")
    late = nc(daemon.lobby, "talkera0\nsecret\n", "-N")
    assert re.search(r"\] The server shuts down in \d seconds?; nobody can log in now\.\r\n$", late)
    alice.hear("The server shuts down in 1 second: new disks")
    assert alice.hear_all()[-1] == "[Server message (TIME)] The server is stopping. Goodbye."
    for thread in threads:
        thread.join(PATIENCE)
    out, err = daemon.process.communicate(timeout=PATIENCE)
    assert (daemon.process.returncode, err) == (0, "")
    assert "chatd has stopped; everything that was accepted is stored" in out
    assert "Traceback" not in out
    lines = stored(tmp_path)
    assert len(lines) > 500
    for talker in talkers:
        mine = [line for line in lines if line.startswith(f"{talker.name}-")]
        heard = [
            line.partition("] ")[2] for line in talker.lines if line.startswith(f"[{talker.name} ")
        ]
        # The last one may have been stored, and its sender be gone before he heard it.
        assert heard == mine[: len(heard)]
        assert len(mine) - len(heard) <= 1
        told = "[Server message (TIME)] The server shuts down in 2 seconds: new disks"
        assert told in talker.lines


def test_audit_log(start: Start, arrive: Arrive, tmp_path: Path) -> None:
    """Each act is one line of a file that only the server's own user reads, refused ones too."""
    daemon = start("alice")
    alice, bob = arrive(daemon.channel, "alice"), arrive(daemon.lobby, "bob")
    bob.say("kick alice revenge", "account passwd alice swordfish")
    bob.hear("That is for operators.")
    bob.hear("That is for operators.")
    alice.say("/kick bob no swearing", "/kick bob", "/announce tea", "/ban 192.0.2.7 5m")
    alice.hear("Banned")
    chat = {"who": "alice", "door": "line", "address": "127.0.0.1"}
    by_bob = {**chat, "who": "bob"}
    first = [
        {**by_bob, "act": "kick", "arguments": "alice revenge", "result": "not_allowed"},
        {**by_bob, "act": "account passwd", "arguments": "alice", "result": "not_allowed"},
        {**chat, "act": "kick", "target": "bob", "reason": "no swearing", "result": "done"},
        {**chat, "act": "kick", "target": "bob", "result": "not_online"},
        {**chat, "act": "announce", "arguments": "tea", "result": "done"},
        {**chat, "act": "ban", "target": "192.0.2.7", "arguments": "300", "result": "done"},
    ]
    assert acts(tmp_path) == first
    file = tmp_path / "state" / "audit.jsonl"
    assert file.stat().st_mode & 0o777 == 0o600
    daemon.end(signal.SIGKILL)
    daemon = start("alice")
    arrive(daemon.channel, "alice").say("/unban 192.0.2.7", "/shutdown")
    assert daemon.process.wait(PATIENCE) == 0
    assert acts(tmp_path) == [
        *first,
        {**chat, "act": "unban", "target": "192.0.2.7", "result": "done"},
        {**chat, "act": "shutdown", "result": "done"},
    ]
    assert "swordfish" not in file.read_text()
