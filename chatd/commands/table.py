"""The command table: name, aliases, arguments, help, permission and handler in one place.

The rule: the function *is* the command. Its signature is the syntax, its docstring the help::

    @command("whisper", "w", when=IN_ROOM)
    def whisper(session: Session, to: Name, text: Text) -> ...:
        \"\"\"Say something to one person in this channel only.\"\"\"

The first parameter says who may ask for it: a :class:`Session` in the chat, or any :class:`Caller`.
Each other annotation has one reader (:data:`_READERS`); a default makes an argument optional, and
:data:`Text` takes the rest of the line. :data:`Password` and :data:`NewPassword` are never read
from the line but asked for. Who may, where and with what is checked in :meth:`CommandTable.run`
and nowhere else; a mistake in a declaration is an error at import.
"""

import inspect
import re
import typing
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any, Final, NewType, Protocol

import attrs

from chatd.domain.errors import (
    BadArguments,
    ChatError,
    Incident,
    NotAllowed,
    NotNow,
    UnknownCommand,
)
from chatd.domain.events import Asked, Event, Prompt
from chatd.domain.hub import Hub
from chatd.domain.names import Key, Name, read_name
from chatd.domain.ports import Hearer, Request
from chatd.domain.records import Act, Role
from chatd.domain.session import Session, State
from chatd.domain.text import Text, clean

Handler = Callable[..., Coroutine[Any, Any, None] | None]


class Caller(Protocol):
    """Who asks for something: a session, or an operator at the console of another door.

    A command whose first parameter is a ``Caller`` can be asked for from both; one that needs a
    ``Session`` only in the chat. ``door`` is the kind of door, and ``address`` the client's.
    """

    hub: Hub
    door: str
    address: str

    @property
    def name(self) -> Name:
        """Who it is, as shown."""

    @property
    def key(self) -> Key | None:
        """The key of its name in the chat; a console has none."""

    @property
    def role(self) -> Role:
        """What the person may do."""

    @property
    def state(self) -> State:
        """Where the caller stands; a console is always in the lobby."""

    @property
    def bare(self) -> bool:
        """Whether a command needs no slash here."""

    @property
    def link(self) -> Hearer:
        """What hears rooms for the caller."""

    def tell(self, event: Event) -> None:
        """Tell the caller something."""

    def answer(self, *lines: str) -> None:
        """Answer the caller in plain sentences."""


Word = NewType("Word", str)
"""One word as typed: for what is looked up, and for names that may be mail addresses."""

Password = NewType("Password", str)
"""A password that is known already."""

OldPassword = NewType("OldPassword", str)
"""The password that is about to be replaced."""

NewPassword = NewType("NewPassword", str)
"""A password to be set; the client is asked for it twice."""

Duration = NewType("Duration", int)
"""Seconds, typed as 90, 90s, 15m, 12h, 7d or 2w. A word that begins otherwise than a number is the
next argument's."""

LOGIN: Final = frozenset({State.LOGIN})
LOGGED_IN: Final = frozenset({State.LOBBY, State.WAITING, State.IN_ROOM})
NOT_WAITING: Final = frozenset({State.LOBBY, State.IN_ROOM})
IN_ROOM: Final = frozenset({State.IN_ROOM})

_NOT_NOW: Final = {
    State.NEGOTIATING: "Please log in first.",
    State.LOGIN: "Please log in first.",
    State.LOBBY: "You are in no channel. Type /switch and a channel's name to enter one.",
    State.WAITING: "You are in the waiting queue; /list, /switch, /help and /quit work here.",
    State.IN_ROOM: "You are logged in already.",
    State.CLOSING: "Goodbye.",
}


_MOST_DIGITS: Final = 9
_MOST_NOTED: Final = 200  # characters of what was refused
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(rf"[0-9]{{1,{_MOST_DIGITS}}}[smhdw]?", re.IGNORECASE | re.ASCII)
_NUMERIC: Final = re.compile(r"[-+.]?\d")


def _read_number(word: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise BadArguments(f"{word} is not a whole number.")
    if len(word) > _MOST_DIGITS:
        raise BadArguments("That number is too large.")
    return int(word)


def _read_duration(word: str) -> Duration:
    if not _DURATION.fullmatch(word):
        raise BadArguments(f"{word} is not a time; write it as 90, 15m, 12h, 7d or 2w.")
    unit = _UNITS.get(word[-1].lower(), 0)
    return Duration(int(word[:-1]) * unit if unit else int(word))


_READERS: Final[dict[object, Callable[[str], object]]] = {
    Name: read_name,
    Word: Word,
    Text: Text,
    int: _read_number,
    Duration: _read_duration,
}
_SECRETS: Final[dict[object, tuple[Prompt, ...]]] = {
    Password: (Prompt.PASSWORD,),
    OldPassword: (Prompt.OLD_PASSWORD,),
    NewPassword: (Prompt.NEW_PASSWORD, Prompt.AGAIN),
}


@attrs.frozen
class Parameter:
    """One argument: what it is called in a usage line, and how it is read."""

    name: str
    kind: object
    optional: bool
    default: object = None

    @property
    def secret(self) -> bool:
        """Whether it is asked for instead of being read from the line."""
        return self.kind in _SECRETS

    def __str__(self) -> str:
        return f"[{self.name.upper()}]" if self.optional else self.name.upper()


@attrs.frozen
class Command:
    """What people can type, or a client can ask for. ``help`` is one sentence.

    ``anywhere``: a console can ask for it too, without being in the chat.
    """

    name: str
    aliases: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    help: str
    needs: Role
    only: Role | None
    when: frozenset[State]
    anywhere: bool
    handler: Handler

    @property
    def usage(self) -> str:
        """How it is typed: ``/whisper TO TEXT``."""
        shown = [str(p) for p in self.parameters if not p.secret]
        return " ".join([f"/{self.name}", *shown])

    @property
    def typed(self) -> bool:
        """Whether people type it, rather than their client asking for it."""
        return self.when != LOGIN and self.name != "say"

    def allows(self, role: Role) -> bool:
        """Whether somebody with this role may use it."""
        return role >= self.needs and self.only in {None, role}


def command(
    name: str,
    *aliases: str,
    needs: Role = Role.GUEST,
    only: Role | None = None,
    when: frozenset[State] = NOT_WAITING,
) -> Callable[[Handler], Handler]:
    """Declare a function to be a command; :meth:`CommandTable.collect` finds it.

    ``needs`` is the lowest role that may use it, ``only`` the one role that has a use for it.
    """

    def declare(handler: Handler) -> Handler:
        help_text = inspect.getdoc(handler)
        if not help_text:
            raise TypeError(f"/{name} has no docstring, and so no help")
        declared = Command(
            name,
            aliases,
            tuple(_parameters(name, handler)),
            help_text.splitlines()[0],
            needs,
            only,
            when,
            _caller_of(name, handler) is Caller,
            handler,
        )
        handler.command = declared  # type: ignore[attr-defined]  # how collect() finds it
        return handler

    return declare


@attrs.frozen
class CommandTable:
    """All commands, found by any of their names in any case."""

    commands: tuple[Command, ...]
    _by_name: dict[str, Command]

    @classmethod
    def collect(cls, *modules: ModuleType) -> "CommandTable":
        """The table of everything declared in these modules, in their order.

        Raises:
            TypeError: a name is used twice.
        """
        found = [
            declared
            for module in modules
            for value in vars(module).values()
            if isinstance(declared := getattr(value, "command", None), Command)
            and inspect.getmodule(value) is module
        ]
        by_name: dict[str, Command] = {}
        for declared in found:
            for name in (declared.name, *declared.aliases):
                if name.casefold() in by_name:
                    raise TypeError(f"/{name} is declared twice")
                by_name[name.casefold()] = declared
        return cls(tuple(found), by_name)

    @property
    def words(self) -> frozenset[str]:
        """Every name of every command, casefolded."""
        return frozenset(self._by_name)

    def find(self, verb: str) -> Command | None:
        """The command of that name."""
        return self._by_name.get(verb.casefold())

    def meant(self, request: Request) -> tuple[Command | None, str]:
        """The command that a request names, by one word or two, and the rest of its line."""
        text = clean(request.text)  # the entrance of all user text, whatever door it came through
        word, rest = _split(text)
        if two := self.find(f"{request.verb} {word}"):
            return two, rest
        return self.find(request.verb), text

    def run(self, caller: Caller, request: Request) -> Coroutine[Any, Any, None] | None:
        """Check a request and carry it out; a coroutine where that needs time.

        What operators do, and what others try to, is audited.

        Raises:
            ChatError: there is no such command, it isn't for this person or place, or its
                arguments are wrong. Nothing was done then.
        """
        wanted, text = self.meant(request)
        if wanted is None:
            # In the lobby a line without a slash is a command, so the hint has none either.
            slash = "" if caller.bare else "/"
            raise UnknownCommand(f"{slash}{clean(request.verb)}" or "/", f"{slash}help")
        if caller.state not in wanted.when:
            raise NotNow(_NOT_NOW[caller.state])
        if wanted.needs is Role.OPERATOR:
            return _act(wanted, caller, text)
        _check(wanted, caller)
        arguments = _read(wanted, text)
        secret = sum(parameter.secret for parameter in wanted.parameters)
        if len(request.secrets) < secret:
            assert isinstance(caller, Session)  # only a chat's commands have secrets
            caller.ask(Asked(wanted.name, text, _prompts(wanted)))
            return None
        return wanted.handler(caller, *arguments, *request.secrets[:secret])


def as_rst(table: CommandTable) -> str:
    """The table of commands for the README."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - type",
        "     - also",
        "     - for",
    ]
    for row in table.commands:
        if row.typed:
            also = ", ".join(f"``/{alias}``" for alias in row.aliases)
            whose = "(operators) " if row.needs is Role.OPERATOR else ""
            lines += [
                f"   * - ``{row.usage}``",
                f"     - {also}".rstrip(),
                f"     - {whose}{row.help}",
            ]
    return "\n".join(lines) + "\n"


def _check(wanted: Command, caller: Caller) -> None:
    """See that a command is for this person, and for the chat or the console."""
    if not wanted.anywhere and not isinstance(caller, Session):
        raise NotNow(f"{wanted.name} works only in the chat.")
    if not wanted.allows(caller.role):
        raise NotAllowed(_not_allowed(wanted))


async def _act(wanted: Command, caller: Caller, text: str) -> None:
    """Carry out an operator's command, and write down how it ended."""
    result, given = Incident.code, {"": _known_part(wanted, text)[:_MOST_NOTED]}
    try:
        _check(wanted, caller)
        arguments = _read(wanted, text)
        pairs = zip(wanted.parameters, arguments, strict=False)
        given = {p.name: str(value) for p, value in pairs if value != p.default}
        work = wanted.handler(caller, *arguments)
        if work is not None:
            await work
        result = "done"
    except ChatError as error:
        result, error.audited = error.code, True
        raise
    finally:
        target, reason = given.pop("target", ""), given.pop("reason", "")
        caller.hub.watch.audited(
            Act(
                caller.hub.clock.seconds(),
                caller.name,
                caller.door,
                caller.address,
                wanted.name,
                target,
                " ".join(given.values()),
                reason,
                result,
            )
        )


def _known_part(wanted: Command, text: str) -> str:
    """What may be written down of a line: what is too much in it may be a password, by habit."""
    if any(parameter.kind is Text for parameter in wanted.parameters):
        return text
    return " ".join(text.split()[: len(wanted.parameters)])


def _read(wanted: Command, text: str) -> list[object]:
    """The arguments that stand in the line itself."""
    arguments: list[object] = []
    for parameter in wanted.parameters:
        if parameter.secret:
            break
        word, rest = (text, "") if parameter.kind is Text else _split(text)
        # A time that is none must not be taken for the reason: "/shutdown -1" would stop at once.
        if parameter.kind is Duration and word and not _NUMERIC.match(word):
            word, rest = "", text
            if parameter.optional:
                arguments.append(parameter.default)
                continue
        if not word.strip():
            if parameter.optional:
                break
            raise BadArguments(f"Usage: {wanted.usage}")
        arguments.append(_READERS[parameter.kind](word))
        text = rest
    if text.strip():
        raise BadArguments(f"Usage: {wanted.usage}")
    return arguments


def _caller_of(name: str, handler: Handler) -> object:
    """Who may call it: the annotation of the first parameter."""
    first = next(iter(inspect.signature(handler).parameters), "")
    kind = typing.get_type_hints(handler).get(first)
    if kind is not Session and kind is not Caller:
        raise TypeError(f"/{name}: its first parameter is a Session or a Caller, not {kind}")
    return kind


def _parameters(name: str, handler: Handler) -> Iterator[Parameter]:
    hints = typing.get_type_hints(handler)
    before: Parameter | None = None
    for parameter in list(inspect.signature(handler).parameters.values())[1:]:
        kind = hints.get(parameter.name)
        if kind not in _READERS and kind not in _SECRETS:
            raise TypeError(f"/{name}: nothing reads {parameter.name}: {kind}")
        optional = parameter.default is not parameter.empty
        after = Parameter(parameter.name, kind, optional, parameter.default if optional else None)
        if before is not None and not after.secret and (before.secret or before.kind is Text):
            raise TypeError(f"/{name}: nothing is left for {after.name}")
        before = after
        yield after


def _prompts(wanted: Command) -> tuple[Prompt, ...]:
    return tuple(
        prompt
        for parameter in wanted.parameters
        if parameter.secret
        for prompt in _SECRETS[parameter.kind]
    )


def _split(text: str) -> tuple[str, str]:
    word, _, rest = text.strip().partition(" ")
    return word, rest.lstrip()


def _not_allowed(wanted: Command) -> str:
    if wanted.only is Role.GUEST:
        return "You have an account already."
    if wanted.needs is Role.USER:
        return "That needs an account. Type /register to open one."
    return "That is for operators."
