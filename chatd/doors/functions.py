"""Functions: the operators' commands as the Python prompt has them.

The rule: a function joins its arguments to the line that the console runs, so that
``kick("general:bob", "why")`` is ``kick general:bob why`` in every respect. It fires with what came
of it, a refusal too, and raises nothing.
"""

import builtins
import inspect
import keyword
from collections.abc import Mapping
from typing import Any, NoReturn

import attrs
from twisted.internet.defer import Deferred, succeed

from chatd.commands.table import Command
from chatd.doors.console import Console, Outcome, offered


@attrs.frozen(repr=False, eq=False)
class Function:
    """A command to be called; shown, it explains itself."""

    _word: str
    _command: Command
    _console: Console

    @property
    def name(self) -> str:
        """What it is called in Python, where a keyword or a builtin of that name goes first."""
        name = self._word.replace(" ", "_")
        return f"{name}_" if keyword.iskeyword(name) or hasattr(builtins, name) else name

    def __call__(self, *arguments: object, **named: object) -> Deferred[Outcome]:
        """Run the command."""
        values = list(arguments)
        for parameter in self._command.parameters[len(values) :]:
            if parameter.name in named:
                values.append(named.pop(parameter.name))
        for name in named:
            return _refused(f"{self.name} takes no {name} besides that.")
        for value in values:
            if not isinstance(value, str | int):
                return _refused(f"{value!r} is no text and no whole number.")
        words = [str(value) for value in values]
        for word in words[:-1]:
            if word.split() != [word]:
                return _refused(f"{word!r}: only the last argument can have spaces, or be empty.")
        return Deferred.fromCoroutine(self._console.run(" ".join([self._word, *words])))

    def __repr__(self) -> str:
        shown = [p.name if not p.optional else f"{p.name}=..." for p in self._command.parameters]
        return f"{self.name}({', '.join(shown)}): {self._command.help}"


@attrs.frozen(repr=False, eq=False)
class Help:
    """The prompt's ``help``: Python's own would open a pager on the server's terminal."""

    _names: Mapping[str, Any]

    def __call__(self, thing: Any = None) -> Outcome:
        """Explain one thing, or list everything there is."""
        if thing is None:
            told = [repr(one) for one in self._names.values() if isinstance(one, Function)]
            return Outcome((*told, *_ALSO), ok=True)
        if isinstance(thing, Function | Help):
            return Outcome((repr(thing),), ok=True)
        return Outcome(tuple((inspect.getdoc(thing) or repr(thing)).splitlines()), ok=True)

    def __repr__(self) -> str:
        return "help(thing=...): Explain one thing, or list everything there is."


_ALSO = (
    "stats(): The same numbers as a dict.",
    "hub, server: The chat itself, and the service around it.",
    "exit(), or Ctrl-D: Leave.",
)


def names_for(console: Console) -> dict[str, Any]:
    """What a prompt begins with."""
    hub = console.hub
    names: dict[str, Any] = {"__name__": "__console__", "hub": hub, "server": hub.server}
    for word, command in offered():
        function = Function(word, command, console)
        names[function.name] = function

    def stats() -> Deferred[dict[str, int | float]]:
        """Show what the server counts, as a dict; times are in seconds."""
        return Deferred.fromCoroutine(_counted(console))

    names |= {"help": Help(names), "stats": stats, "exit": _leave, "quit": _leave}
    return names


async def _counted(console: Console) -> dict[str, int | float]:
    return dict(await console.hub.server.stats())


def _leave() -> NoReturn:
    """Leave the prompt."""
    raise SystemExit


def _refused(text: str) -> Deferred[Outcome]:
    return succeed(Outcome((text,), ok=False))
