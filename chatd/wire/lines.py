"""The line protocol: what telnet and nc users type and read (PRODUCT.md, 2 and 3).

The rule: this file has every word that such a user is shown for an event, and the only dialogue
there is: a prompt, its answers one line each, then the request they complete.
"""

import re
import time
from collections.abc import Callable
from typing import Final, assert_never

import attrs

from chatd.domain.errors import ChatError, LineTooLong
from chatd.domain.events import (
    Announced,
    Asked,
    Broadcasted,
    ChannelsListed,
    Detached,
    Dropped,
    Ended,
    Event,
    Farewell,
    Greeted,
    Invited,
    Joined,
    Left,
    Mailed,
    MailWanted,
    Messaged,
    MessageSent,
    Muted,
    Prompt,
    Queued,
    Recalled,
    Refused,
    Said,
    TicketGiven,
    Told,
    Tuned,
    Untuned,
    Watched,
    Way,
    Welcomed,
    WentAfk,
    Whispered,
    WhisperSent,
)
from chatd.domain.names import GROUP, INBOX, SERVER, RoomName
from chatd.domain.ports import Line, Mark, Request
from chatd.domain.text import plural, size_of, spell
from chatd.wire.shell import shell_lines
from chatd.wire.telnet import TelnetFilter

END: Final = "\r\n"

_HTTP: Final = re.compile(rb"[A-Z]{3,8} \S+ HTTP/\d")
_TLS_HANDSHAKE: Final = 0x16  # RFC 8446, 5.1: the content type of a record


class PasswordsDiffer(ChatError):
    """The password typed again is another one."""

    code = "passwords_differ"


class Cancelled(ChatError):
    """An empty line where a password was asked for."""

    code = "cancelled"


@attrs.define(eq=False)
class LineFormat:
    """Events to the bytes that everyone on a line door reads. ``local`` gives a time its parts."""

    _local: Callable[[float], time.struct_time] = time.localtime
    _second: int = -1
    _stamp: str = ""

    def __call__(self, event: Event) -> bytes:
        """The line, or lines, for an event."""
        if type(event) is Said:  # nearly all of them
            return f"{self._said(event, self._at(event.at))}{END}".encode()
        return "".join(f"{line}{END}" for line in self._lines(event)).encode()

    def _lines(self, event: Event) -> list[str]:
        assert not isinstance(event, Said)  # __call__ has shown it
        match event:
            case Whispered(author, text, at):
                return [f"[{author} whispers to you: ({self._at(at)})] {text}"]
            case WhisperSent(to, text, at):
                return [f"[you whisper to {to}: ({self._at(at)})] {text}"]
            case Joined(room, name, at):
                return self._server(at, f"{name} has joined the {_called(room)}.")
            case Left(room, name, at):
                return self._server(at, f"{name} has left the {_called(room)}.")
            case Announced(_, text, at):
                return self._server(at, text)
            case Broadcasted(_, author, text, at):
                return [f"[{author} to all ({self._at(at)})] {text}"]
            case Messaged(author, text, at):
                return [f"[{author} to you ({self._at(at)})] {text}"]
            case MessageSent(to, text, at):
                return [f"[you to {to} ({self._at(at)})] {text}"]
            case Mailed(lines, at):
                return [self._said(said, self._dated(said.at, at)) for said in lines]
            case WentAfk(_, name, at):
                return self._server(at, f"{name} went AFK.")
            case Muted(_, name, seconds, at):
                return self._server(at, f"{name} has been muted for {plural(seconds, 'second')}.")
            case Watched(_, what, who, text, at):
                return self._server(at, f"{what.value}: {who}{', ' if text else ''}{text}")
            case Dropped(_, name, reason, at):
                return self._server(at, f"{name} was dropped: {reason}.")
            case Welcomed(name, None, server, at):
                return self._server(at, f"Welcome to {server}, {name}. Type help for the commands.")
            case Welcomed(name, channel, _, at):
                return self._server(at, f"Welcome to the {channel} channel, {name}.")
            case Queued(ahead, at):
                return self._server(
                    at,
                    f"You are in the waiting queue and there are {ahead} user(s) ahead of you.",
                )
            case TicketGiven():
                return self._ticket(event)
            case Told(lines, at):
                return self._server(at, *lines)
            case Refused(_, text, at) | Farewell(text, at):
                return self._server(at, *text.split("\n"))
            case ChannelsListed(rows):
                return [
                    f"[Channel] {row.name} {row.here}/{row.capacity}/{row.waiting}." for row in rows
                ]
            case Recalled(lines, at):
                return [self._said(said, self._dated(said.at, at)) for said in lines]
            case Greeted(server, None, here, _):
                return [f"{server}: lobby, {here} online."]
            case Greeted(server, channel, here, capacity):
                return [f"{server}: channel {channel}, {here} of {capacity} here."]
            case Invited(name):
                return [
                    f"There is no account {name} yet. Choose a password to open one, "
                    "or an empty line to give another name."
                ]
            case Asked():
                return []  # a dialogue's: see Dialogue.encode
            case Tuned() | Untuned() | Detached() | MailWanted() | Ended():
                return []  # for the hub alone
            case _:
                assert_never(event)

    def _ticket(self, given: TicketGiven) -> list[str]:
        """What a file's sender, or its recipient, can paste into a shell of his own."""
        long = "" if given.size is None else f" ({size_of(given.size)})"
        what = f"file {given.number}, {given.name}{long}"
        within = f"within {spell(given.seconds)} paste one of these into a shell"
        if given.way is Way.PUT:
            head = self._server(given.at, f"To send {what}, to {given.other}, {within}:")
        else:
            text = f"{given.other} has sent you {what}, sha256 {given.sha256}."
            head = self._server(given.at, text, f"To fetch it, {within}:")
        return head + [f"    {line}" for line in shell_lines(given)]

    @staticmethod
    def _said(said: Said, stamp: str) -> str:
        if said.room[0] == GROUP:
            return f"[{said.author} {said.room} ({stamp})] {said.text}"
        if said.room[0] != INBOX:
            return f"[{said.author} ({stamp})] {said.text}"
        if said.author == SERVER:
            return f"[Server message ({stamp})] {said.text}"
        return f"[{said.author} to you ({stamp})] {said.text}"

    def _server(self, at: float, *texts: str) -> list[str]:
        return [f"[Server message ({self._at(at)})] {text}" for text in texts]

    def _at(self, at: float) -> str:
        if int(at) != self._second:
            self._second = int(at)
            self._stamp = time.strftime("%H:%M:%S", self._local(at))
        return self._stamp

    def _dated(self, at: float, now: float) -> str:
        then, today = self._local(at), self._local(now)
        if then[:3] == today[:3]:
            return time.strftime("%H:%M:%S", then)
        return time.strftime("%Y-%m-%d %H:%M:%S", then)


@attrs.define(eq=False)
class Dialogue:
    """One connection's codec: its lines to requests, and the prompts in between.

    ``write`` sends bytes to this client; ``limit`` is the longest line, for the refusal.
    """

    _format: LineFormat
    _limit: int
    _write: Callable[[bytes], None]
    telnet: TelnetFilter = attrs.field(factory=TelnetFilter)
    _asked: Asked | None = None
    _at: int = 0
    _answers: tuple[str, ...] = ()

    @property
    def asked(self) -> Asked | None:
        """What the client has yet to answer."""
        return self._asked

    @asked.setter
    def asked(self, asked: Asked | None) -> None:
        self._asked, self._at, self._answers = asked, 0, ()
        if asked is None and (shown := self.telnet.show()):
            self._write(shown)

    def encode(self, event: Event) -> bytes:
        """The bytes of an event for this client alone."""
        if not isinstance(event, Asked):
            return self._format(event)
        # A client that answers faster than it is asked needs no prompt any more.
        return self._prompt(event) if event is self._asked and not self._at else b""

    def request(self, line: Line, *, bare: bool) -> Request | None:
        """Make a request of a line; None where it is blank, or one answer of several.

        Raises:
            LineTooLong: it was skipped.
            PasswordsDiffer: the second is not the first; both are asked for again.
            Cancelled: an empty line where a password was asked for.
        """
        if line is Mark.END:
            return Request("quit")
        if line is Mark.TOO_LONG:
            if self._asked is not None:
                self._end_hidden_line()
                self._ask_again(self._asked)
            raise LineTooLong(self._limit)
        assert isinstance(line, str)
        if self._asked is not None:
            return self._answer(self._asked, line)
        if not line.strip():
            return None
        if line.startswith("//"):
            return Request("say", line[1:])
        if line.startswith("/") or bare:
            return _command(line)
        return Request("say", line)

    def _answer(self, asked: Asked, line: str) -> Request | None:
        prompt = asked.prompts[self._at]
        if not prompt.secret:
            self.asked = None
            name = line.strip()
            return _command(name) if name.startswith("/") else Request(asked.verb, name)
        self._end_hidden_line()
        if not line:
            self.asked = None
            if asked.text:
                return None  # in the greeting: back to the name
            raise Cancelled("Nothing was changed.")
        if prompt is not Prompt.AGAIN:
            self._answers += (line,)
        elif line != self._answers[-1]:
            self._ask_again(asked)
            raise PasswordsDiffer("The two passwords differ.")
        self._at += 1
        if self._at < len(asked.prompts):
            self._write(self._prompt(asked))
            return None
        answers, self.asked = self._answers, None
        return Request(asked.verb, asked.text, answers)

    def _end_hidden_line(self) -> None:
        if self.telnet.hidden:
            self._write(END.encode())  # the client has not shown the end of the line either

    def _ask_again(self, asked: Asked) -> None:
        # A copy: where the first one has not been shown yet, one prompt is enough.
        self.asked = attrs.evolve(asked)

    def _prompt(self, asked: Asked) -> bytes:
        prompt = asked.prompts[self._at]
        return (self.telnet.hide() if prompt.secret else b"") + f"{prompt.value}: ".encode()


def _called(room: RoomName) -> str:
    """What people call a room when they come and go."""
    return f"group {room[1:]}" if room[0] == GROUP else "channel"


def stranger(data: bytes) -> bytes | None:
    """What to answer to a client that speaks another protocol, by its first bytes.

    None: it is one of ours. Nothing is answered to TLS, which could not read it.
    """
    if data[0] == _TLS_HANDSHAKE:
        return b""
    for protocol, found in (("HTTP", _HTTP.match(data)), ("SSH", data.startswith(b"SSH-"))):
        if found:
            text = f"This port is for chat by telnet or nc; it does not speak {protocol}."
            return f"{text}{END}".encode()
    return None


def _command(line: str) -> Request:
    verb, *text = line.strip().removeprefix("/").split(maxsplit=1) or [""]
    return Request(verb, "".join(text))
