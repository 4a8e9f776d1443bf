"""Transcripts: what named people type and read, replayed through every door and every journal.

``tests/transcripts/README.txt`` has the language that they are written in. A door is a subclass of
:class:`Client`, with one entry in ``DOORS``; a journal is a function, with one in ``JOURNALS``.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Final

import attrs
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from chatd.domain.errors import WrongPassword
from chatd.domain.events import Prompt, Way
from chatd.domain.limits import Gate, Lockout
from chatd.domain.ports import Journal
from chatd.domain.records import Account, Role
from chatd.domain.rooms import Channel
from chatd.doors.line import LineFactory, LineProtocol
from chatd.doors.reception import Reception
from chatd.journal import MemoryJournal, StoreJournal
from chatd.members import MembersFile
from chatd.wire.lines import LineFormat
from chatd.wire.telnet import DO, DONT, ECHO, IAC, WILL, WONT
from tests.fakes import RULES, PlainPasswords, World, spawn
from tests.sending import begin, bring, claim, complete, stop

NOON: Final = 12 * 3600
TICK: Final = 0.125  # seconds; a fraction that floats can count by
PROMPTS: Final = {f"{prompt.value}:": prompt for prompt in Prompt}
UTC: Final = LineFormat(time.gmtime)


@attrs.define
class LockingPasswords(PlainPasswords):
    """Passwords in the clear behind the real lock."""

    lockout: Lockout = attrs.field(kw_only=True)

    async def login(
        self, who: str, account: Account | None, password: str, address: str
    ) -> Account:
        """Check a password, and count the wrong ones."""
        self.lockout.attempt(who, address)
        try:
            found = await PlainPasswords.login(self, who, account, password, address)
        except WrongPassword:
            raise WrongPassword(self.lockout.failed(who, address)) from None
        self.lockout.succeeded(who, address)
        return found


class Client:
    """Somebody at a line door with nc: what is typed goes out a segment a line."""

    end: ClassVar[bytes] = b"\n"
    hides: bool | None = None
    """Whether what is typed doesn't show; None where the server has no say in it."""

    def __init__(self, factory: LineFactory, address: str) -> None:
        self.gone = False
        self.last_read = ""
        self.transport = StringTransport(lenient=True)
        self._protocol: LineProtocol = factory.buildProtocol(IPv4Address("TCP", address, 1024))
        self._protocol.makeConnection(self.transport)  # type: ignore[no-untyped-call]
        self._unread = ""

    def type(self, lines: list[str]) -> None:
        """Send lines at one go."""
        self._send(b"".join(line.encode() + self.end for line in lines))

    def unread(self) -> str:
        """What was received and not read yet."""
        sent = self.transport.value()
        self.transport.clear()
        self._unread += self._shown(sent)
        return self._unread

    def read(self, text: str) -> None:
        """Read what must come next."""
        assert self.unread()[: len(text)] == text
        self._unread = self._unread[len(text) :]
        self.last_read = text.strip()

    def stop_sending(self) -> None:
        """Close the sending half of the connection, as nc does at the end of its input."""
        self._protocol.readConnectionLost()

    def hang_up(self, why: Exception) -> None:
        """Be gone: for the server the connection is lost."""
        self.unread()
        self.gone = True
        self._protocol.connectionLost(Failure(why))

    def _send(self, data: bytes) -> None:
        assert self.transport.producerState == "producing"
        self._protocol.dataReceived(data)

    def _shown(self, sent: bytes) -> str:
        return sent.decode()


class KeyByKey(Client):
    """A client that sends each byte in a segment of its own."""

    def _send(self, data: bytes) -> None:
        for byte in data:
            super()._send(bytes([byte]))


class Telnet(Client):
    """A telnet client: it agrees to whatever is offered, and hides what it is told to hide."""

    end = b"\r\n"

    def __init__(self, factory: LineFactory, address: str) -> None:
        self.hides = False
        self._ends_line = False
        super().__init__(factory, address)

    def type(self, lines: list[str]) -> None:
        """Send lines; where they are hidden, so is the end of them."""
        self.unread()
        self._ends_line = bool(self.hides)
        super().type(lines)

    def _shown(self, sent: bytes) -> str:
        for verb, answer, hides in ((WILL, DO, True), (WONT, DONT, False)):
            offer = bytes((IAC, verb, ECHO))
            if offer in sent:
                sent = sent.replace(offer, b"")
                self.hides = hides
                self._send(bytes((IAC, answer, ECHO)))
        shown = sent.decode()
        if self._ends_line and shown:
            assert shown.startswith("\r\n")
            shown, self._ends_line = shown[2:], False
        return shown


def memory_journal(world: World, channels: list[Channel]) -> Journal:
    """A journal that stores nothing."""
    return MemoryJournal(world.clock, world.hub)


def store_journal(world: World, channels: list[Channel]) -> Journal:
    """A journal that stores every channel's lines before it delivers them."""
    kept = {channel.name: 0 for channel in channels}
    return StoreJournal(world.clock, world.hub, world.store, spawn, kept)


MakeJournal = Callable[[World, list[Channel]], Journal]

DOORS: Final = [Client, KeyByKey, Telnet]
JOURNALS: Final[list[MakeJournal]] = [memory_journal, store_journal]
KEEPING: Final[list[MakeJournal]] = [store_journal]


class Player:
    """Plays one transcript: each line of it is a step, and each step one of ``_STEPS``."""

    def __init__(
        self, clock: Clock, folder: Path, door: type[Client], make_journal: MakeJournal
    ) -> None:
        self._clock = clock
        self._door = door
        self._make_journal = make_journal
        clock.advance(NOON)
        self._world = World(clock, rules=attrs.evolve(RULES, lines_per_second=10))
        self._lockout = Lockout(clock, 3, 60, self._world.store.save_tries)
        self._world.hub.passwords = LockingPasswords(lockout=self._lockout)
        self._gate = Gate(20_000, 64)
        self._world.hub.journal = make_journal(self._world, [])
        self._channels: dict[str, Channel] = {}
        self._clients: dict[str, Client] = {}
        self._file = folder / "members.txt"
        self._listed: MembersFile | None = None

    def play(self, script: str) -> None:
        """Play everything; at the end nobody has anything left to read."""
        for number, line in enumerate(script.splitlines(), 1):
            if line and not line.startswith("#"):
                try:
                    self._step(line)
                except AssertionError as error:
                    error.add_note(f"line {number}: {line}")
                    raise
        for name in self._clients:
            self._told_nothing(name)

    def finish(self) -> None:
        """Let everybody go."""
        for client in self._clients.values():
            if not client.gone:
                client.hang_up(ConnectionLost())
        if self._listed is not None:
            self._listed.stop()
        self._lockout.stop()
        spawn(self._world.hub.mail.settle())
        self._settle()

    def _step(self, line: str) -> None:
        for pattern, step in self._STEPS:
            if found := re.fullmatch(pattern, line):
                step(self, *found.groups(default=""))
                self._settle()
                return
        raise ValueError(f"no step is written like this: {line}")

    def _settle(self) -> None:
        """Let everything happen that happens at once, and close what the server has closed."""
        self._clock.advance(0)
        for client in self._clients.values():
            client.unread()
            if client.transport.disconnecting and not client.gone:
                client.hang_up(ConnectionDone())
        self._clock.advance(0)

    def _channel(self, name: str, capacity: str) -> None:
        self._channels[name] = self._world.channel(name, int(capacity))
        channels = list(self._channels.values())
        self._world.hub.journal = self._make_journal(self._world, channels)

    def _account(self, what: str, name: str, password: str) -> None:
        role = Role.OPERATOR if what == "operator" else Role.USER
        self._world.account(name, password, role)

    def _guests(self) -> None:
        self._world.change(guests=True)

    def _broadcasts(self) -> None:
        self._world.change(broadcast=Role.GUEST)

    def _connects(self, name: str, channel: str, address: str) -> None:
        home = self._channels[channel] if channel else None
        reception = Reception(self._world.hub, self._gate, "line", 262_144, home)
        assert name not in self._clients or self._clients[name].gone
        self._clients[name] = self._door(LineFactory(reception, UTC), address or "10.0.0.1")

    def _types(self, name: str, text: str) -> None:
        client = self._clients[name]
        prompt = PROMPTS.get(client.last_read)
        assert not client.gone
        assert client.hides in {None, prompt is not None and prompt.secret}
        client.type(expanded(text))

    def _reads(self, name: str, text: str) -> None:
        for line in expanded(text):
            self._clients[name].read(f"{line} " if line in PROMPTS else f"{line}\r\n")

    def _told_nothing(self, name: str) -> None:
        assert self._clients[name].unread() == ""

    def _all_told_nothing(self) -> None:
        for name in self._clients:
            self._told_nothing(name)

    def _disconnected(self, name: str) -> None:
        assert self._clients[name].gone
        self._told_nothing(name)

    def _passes(self, seconds: str) -> None:
        for _ in range(int(int(seconds) / TICK)):
            self._clock.advance(TICK)
            self._settle()

    def _members(self, lines: str) -> None:
        """Write the members file; from the first time on it says who gets in."""
        self._file.write_text("".join(f"{line}\n" for line in lines.split(" | ")))
        hub = self._world.hub
        if self._listed is None:
            hub.rules = attrs.evolve(hub.rules, register=False)
            self._listed = hub.members = MembersFile(
                self._file, hub.passwords, hub.store, self._clock, print, hub.keep_members
            )
            self._listed.start(2)

    def _sends(self, name: str, count: str) -> None:
        """Come to the files port, and break off where the file isn't complete."""
        made = begin(self._world, self._ticket(name))
        bring(self._world, made, int(count))
        if int(count) == made.transfer.size:
            complete(self._world, made)
        else:
            stop(self._world, made)

    def _fetches(self, name: str, count: str) -> None:
        made = claim(self._world, self._ticket(name), Way.GET)
        spawn(self._world.hub.files.gave(made, 0, int(count)))

    def _ticket(self, name: str) -> str:
        """The ticket in the line that somebody has read last."""
        found = re.search("[0-9a-f]{32}", self._clients[name].last_read)
        assert found is not None
        return found[0]

    def _server_stops(self) -> None:
        """Stop as the service does, once an operator has asked for it."""
        assert self._world.server.stopped
        spawn(self._world.hub.close("The server is stopping. Goodbye."))

    def _server_runs(self) -> None:
        assert not self._world.server.stopped

    def _dies(self, name: str) -> None:
        self._clients[name].hang_up(ConnectionLost())

    def _stops_sending(self, name: str) -> None:
        self._clients[name].stop_sending()

    _STEPS: ClassVar[list[tuple[str, Callable[..., None]]]] = [
        (r"channel (\w+) for (\d+)", _channel),
        (r"(account|operator) (\w+) with the password (\w+)", _account),
        (r"guests are let in", _guests),
        (r"everybody may broadcast", _broadcasts),
        (r"(\w+) connects to (?:the lobby|channel (\w+))(?: from ([\d.]+))?", _connects),
        (r"(\w+) > ?(.*)", _types),
        (r"(\w+) < (.*)", _reads),
        (r"(\w+) is told nothing more", _told_nothing),
        (r"nobody is told anything more", _all_told_nothing),
        (r"(\w+) is disconnected", _disconnected),
        (r"(\d+) seconds? pass(?:es)?", _passes),
        (r"the members file has (.*)", _members),
        (r"(\w+) sends (\d+) bytes with that ticket", _sends),
        (r"(\w+) fetches (\d+) bytes with that ticket", _fetches),
        (r"the server stops", _server_stops),
        (r"the server runs on", _server_runs),
        (r"(\w+) dies", _dies),
        (r"(\w+) stops sending", _stops_sending),
        (r"the journal stores lines", lambda player: None),
    ]


def expanded(text: str) -> list[str]:
    """The lines that a line of a transcript stands for; see the README there."""
    text = re.sub(r"\{(.) x (\d+)\}", lambda found: found[1] * int(found[2]), text)
    if counted := re.search(r"\{(\d+)\.\.(\d+)\}", text):
        before, after = text[: counted.start()], text[counted.end() :]
        return [f"{before}{n}{after}" for n in range(int(counted[1]), int(counted[2]) + 1)]
    lines = [line.removesuffix(" ") for line in text.split("| ")] if "| " in text else [text]
    return [line.replace("{|}", "|") for line in lines]


def plays() -> Iterator[tuple[Path, type[Client], MakeJournal]]:
    """Every transcript with every door and every journal that it can be played with."""
    for path in sorted((Path(__file__).parent / "transcripts").glob("[a-z]*.txt")):
        needs_store = "\nthe journal stores lines\n" in path.read_text(encoding="utf-8")
        for door in DOORS:
            for journal in KEEPING if needs_store else JOURNALS:
                yield path, door, journal


@pytest.mark.parametrize(
    ("path", "door", "journal"),
    [
        pytest.param(*play, id=f"{play[0].stem}-{play[1].__name__}-{play[2].__name__}")
        for play in plays()
    ],
)
def test_transcript(
    clock: Clock, tmp_path: Path, path: Path, door: type[Client], journal: MakeJournal
) -> None:
    """What the transcript says is what everybody in it reads, in this order and nothing else."""
    player = Player(clock, tmp_path, door, journal)
    try:
        player.play(path.read_text(encoding="utf-8"))
    finally:
        player.finish()


@pytest.mark.parametrize(
    "script",
    [
        "channel general for 1\nann connects to channel general\n",
        "channel general for 1\nann connects to channel general\nann < Name:\n",
        "channel general for 1\nann connects to channel general\nann is disconnected\n",
        "channel general for 1\nann connects to channel general\nnobody is told anything more\n",
    ],
)
def test_a_transcript_that_is_wrong_fails(clock: Clock, tmp_path: Path, script: str) -> None:
    """A transcript is held to every byte: what is missing in it, or too much, is an error."""
    player = Player(clock, tmp_path, Client, memory_journal)
    with pytest.raises(AssertionError):
        player.play(script)
    player.finish()


def test_a_transcript_in_other_words_fails(clock: Clock, tmp_path: Path) -> None:
    """A line that is no step is never passed over."""
    with pytest.raises(ValueError, match=r"^no step is written like this: ann waves$"):
        Player(clock, tmp_path, Client, memory_journal).play("ann waves\n")
