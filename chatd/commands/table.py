"""The command table: name, aliases, arguments, help, permission and handler in one place.

The rule: the function *is* the command. Its signature is the syntax, its docstring the help::

    @command("whisper", "w", when=IN_ROOM)
    def whisper(session: Session, to: Name, text: Text) -> ...:
        \"\"\"Say something to one person in this channel only.\"\"\"

Each annotation has one reader (:data:`_READERS`); a default makes an argument optional, and
:data:`Text` takes the rest of the line. :data:`Password` and :data:`NewPassword` are never read
from the line but asked for. Who may, where and with what is checked in :meth:`CommandTable.run`
and nowhere else; a mistake in a declaration is an error at import.
"""

import inspect
import typing
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any, Final, NewType

import attrs

from chatd.domain.errors import BadArguments, NotAllowed, NotNow, UnknownCommand
from chatd.domain.events import Asked, Prompt
from chatd.domain.names import Name, read_name
from chatd.domain.ports import Request, Role
from chatd.domain.session import Session, State
from chatd.domain.text import Text, clean

Handler = Callable[..., Coroutine[Any, Any, None] | None]

Word = NewType("Word", str)
"""One word as typed: for what is looked up, and for names that may be mail addresses."""

Password = NewType("Password", str)
"""A password that is known already."""

OldPassword = NewType("OldPassword", str)
"""The password that is about to be replaced."""

NewPassword = NewType("NewPassword", str)
"""A password to be set; the client is asked for it twice."""

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


def _read_number(word: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise BadArguments(f"{word} is not a whole number.")
    if len(word) > _MOST_DIGITS:
        raise BadArguments("That number is too large.")
    return int(word)


_READERS: Final[dict[object, Callable[[str], object]]] = {
    Name: read_name,
    Word: Word,
    Text: Text,
    int: _read_number,
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

    @property
    def secret(self) -> bool:
        """Whether it is asked for instead of being read from the line."""
        return self.kind in _SECRETS

    def __str__(self) -> str:
        return f"[{self.name.upper()}]" if self.optional else self.name.upper()


@attrs.frozen
class Command:
    """What people can type, or a client can ask for. ``help`` is one sentence."""

    name: str
    aliases: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    help: str
    needs: Role
    only: Role | None
    when: frozenset[State]
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

    def run(self, session: Session, request: Request) -> Coroutine[Any, Any, None] | None:
        """Check a request and carry it out; a coroutine where that needs time.

        Raises:
            ChatError: there is no such command, it isn't for this person or place, or its
                arguments are wrong. Nothing was done then.
        """
        wanted, text = self.meant(request)
        if wanted is None:
            # In the lobby a line without a slash is a command, so the hint has none either.
            slash = "" if session.bare else "/"
            raise UnknownCommand(f"{slash}{clean(request.verb)}" or "/", f"{slash}help")
        if session.state not in wanted.when:
            raise NotNow(_NOT_NOW[session.state])
        if not wanted.allows(session.role):
            raise NotAllowed(_not_allowed(wanted))
        return self._call(wanted, session, text, request.secrets)

    @staticmethod
    def _call(
        wanted: Command, session: Session, text: str, secrets: tuple[str, ...]
    ) -> Coroutine[Any, Any, None] | None:
        arguments = _read(wanted, text)
        secret = sum(parameter.secret for parameter in wanted.parameters)
        if len(secrets) < secret:
            session.ask(Asked(wanted.name, text, _prompts(wanted)))
            return None
        return wanted.handler(session, *arguments, *secrets[:secret])


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
            lines += [f"   * - ``{row.usage}``", f"     - {also}".rstrip(), f"     - {row.help}"]
    return "\n".join(lines) + "\n"


def _read(wanted: Command, text: str) -> list[object]:
    """The arguments that stand in the line itself."""
    arguments: list[object] = []
    for parameter in wanted.parameters:
        if parameter.secret:
            break
        word, rest = (text, "") if parameter.kind is Text else _split(text)
        if not word.strip():
            if parameter.optional:
                break
            raise BadArguments(f"Usage: {wanted.usage}")
        arguments.append(_READERS[parameter.kind](word))
        text = rest
    if text.strip():
        raise BadArguments(f"Usage: {wanted.usage}")
    return arguments


def _parameters(name: str, handler: Handler) -> Iterator[Parameter]:
    hints = typing.get_type_hints(handler)
    before: Parameter | None = None
    for parameter in list(inspect.signature(handler).parameters.values())[1:]:
        kind = hints.get(parameter.name)
        if kind not in _READERS and kind not in _SECRETS:
            raise TypeError(f"/{name}: nothing reads {parameter.name}: {kind}")
        after = Parameter(parameter.name, kind, parameter.default is not parameter.empty)
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
