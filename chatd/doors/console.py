"""The console: an operator who isn't in the chat, and types commands all the same.

The rule: what a console may ask for is what the command table lets any ``Caller`` ask for; a line
is run through that table and nowhere else, so that it is checked and audited as in the chat.
"""

from collections.abc import Callable, Iterator
from typing import Final

import attrs

from chatd.commands import TABLE
from chatd.commands.table import Command
from chatd.domain.audience import Audience
from chatd.domain.errors import ChatError, Incident, NotNow, UnknownCommand
from chatd.domain.events import Event, Refused, Told
from chatd.domain.hub import Hub
from chatd.domain.names import Key, Name
from chatd.domain.ports import Format, Request
from chatd.domain.records import Role
from chatd.domain.session import State
from chatd.domain.text import clean
from chatd.doors.line import FORMAT

_OWN: Final = {"who": "whoelse", "rooms": "list"}  # what these words mean where there is no room
_HELP: Final = "help"


@attrs.frozen
class Outcome:
    """What came of a line: the lines to show, and whether it was carried out."""

    lines: tuple[str, ...]
    ok: bool


@attrs.define(eq=False)
class Ear:
    """What hears rooms for a console; ``show`` is given whole lines, each with its end.

    It can be told something in its place in the order of everything, and calls ``caught_up`` then.
    """

    show: Callable[[str], None]
    caught_up: Callable[[], None]
    format: Format = FORMAT
    audiences: tuple[Audience, ...] = ()
    deaf_to: frozenset[Key] = frozenset()

    def write(self, data: bytes) -> None:
        """Show what a room was told."""
        self.show("".join(f"{line}\n" for line in data.decode().splitlines()))

    def tell(self, event: Event) -> None:
        """Take note: what was asked for before this has happened, or could not be stored."""
        if isinstance(event, Refused):
            self.show(f"{event.text}\n")
        self.caught_up()


@attrs.frozen
class Console:
    """Where an operator types: who it is, from which address, and what hears rooms for him."""

    hub: Hub
    name: Name
    address: str
    link: Ear
    door: str = "manhole"

    async def run(self, line: str) -> Outcome:
        """Carry out a line and say what came of it; nothing is raised.

        What the operator is told after that goes to the ear.
        """
        # Lines may run side by side, so each has a caller of its own; the ear is the same.
        caller = Asker(self.hub, self.name, self.address, self.link, self.door)
        try:
            await _carry_out(caller, line)
        except ChatError as error:
            caller.refuse(error)
        except Exception:  # noqa: BLE001  any mistake is told, and logged as an incident
            caller.refuse(Incident(self.hub.incident()))
        return caller.finish()


def offered() -> Iterator[tuple[str, Command]]:
    """Every command that works at a console, under the name that it has there."""
    words = {command: word for word, command in _OWN.items()}
    for command in TABLE.commands:
        if command.anywhere:
            yield words.get(command.name, command.name), command


def usage(word: str, command: Command) -> str:
    """How a command is typed at a console: ``kick TARGET [REASON]``."""
    return command.usage.replace(f"/{command.name}", word, 1)


@attrs.define(eq=False)
class Asker:
    """Who the command table sees behind one line of a console."""

    hub: Hub
    name: Name
    address: str
    link: Ear
    door: str
    key: Key | None = None  # it has no name in the chat
    role: Role = Role.OPERATOR
    state: State = State.LOBBY
    bare: bool = True
    _told: list[str] | None = attrs.field(factory=list)  # None: the line has run
    _ok: bool = True

    def tell(self, event: Event) -> None:
        """Tell the operator something."""
        match event:
            case Told(lines, _):
                self.answer(*lines)
            case Refused(_, text, _):
                self._ok = False
                self.answer(text)
            case _:
                self.answer(FORMAT(event).decode())

    def answer(self, *texts: str) -> None:
        """Answer in plain sentences, a line each."""
        lines = [line for text in texts for line in text.splitlines()]
        if self._told is not None:
            self._told += lines
        else:
            self.link.show("".join(f"{line}\n" for line in lines))

    def refuse(self, error: ChatError) -> None:
        """Say what was wrong."""
        self.hub.counts.refusals += 1
        self.tell(Refused(error.code, str(error), self.hub.clock.seconds()))

    def finish(self) -> Outcome:
        """What came of the line."""
        lines, self._told = self._told or (), None
        return Outcome(tuple(lines), self._ok)


async def _carry_out(caller: Asker, line: str) -> None:
    request = _request(line)
    if request.verb == _HELP:
        caller.answer(*_explained(request.text))
        return
    wanted, _ = TABLE.meant(request)
    if wanted is not None and not wanted.anywhere:
        raise NotNow(f"{wanted.name} works only in the chat. Type {_HELP} for what works here.")
    work = TABLE.run(caller, request) if request.verb else None
    if work is not None:
        await work


def _request(line: str) -> Request:
    """What a line asks for; the verb is empty where it is blank."""
    verb, *text = line.strip().removeprefix("/").split(maxsplit=1) or [""]
    verb = verb.casefold()
    return Request(_OWN.get(verb, verb), "".join(text))


def _explained(text: str) -> list[str]:
    """The help for one command, or for all of them where none is named."""
    wanted, rest = TABLE.meant(_request(text))
    found = [
        f"{usage(word, command)}: {command.help}"
        for word, command in offered()
        if not text or (command is wanted and not rest)
    ]
    if not found:
        raise UnknownCommand(clean(text), _HELP)
    return found
