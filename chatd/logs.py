"""The log: one line an event, for a terminal or as JSON.

The rule: whatever an event carries, its line stays one line and sends a terminal nothing but
characters that can be seen; and nothing that goes wrong with the log stops the server.

What Twisted tells of its own doings at the level "info" (a factory starts, a port is closed) is
left out, and so is all that is only for debugging; its warnings and errors stay.
"""

import json
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent
from zope.interface import implementer

from chatd.domain.events import Watched

_log = Logger()

STANDARD_OUTPUT: Final = 1

_TWISTED: Final = ("twisted.", "log_legacy")
_LEVELS_TOLD: Final = frozenset({LogLevel.warn, LogLevel.error, LogLevel.critical})
_LATEST: Final = 2.0**37  # the year 6325; datetime ends at 9999
_INDENT: Final = "    "
# What Twisted and its older way of logging keep in an event for themselves.
_INTERNAL: Final = frozenset({"debugInfo", "failure", "format", "isError", "why"})


class LogError(Exception):
    """A log file that can't be written. ``str()`` is a sentence for the operator."""


def note(watched: Watched) -> None:
    """Log what operators can watch. What people say in a room is never among it."""
    words = "{what}: {who}, {text}" if watched.text else "{what}: {who}"
    _log.info(words, what=watched.what.value, who=watched.who, text=watched.text)


def wanted(event: LogEvent) -> bool:
    """Whether an event is for the log."""
    level = event.get("log_level", LogLevel.info)
    if level in _LEVELS_TOLD:
        return True
    return level is LogLevel.info and not str(event.get("log_namespace", "")).startswith(_TWISTED)


def as_text(event: LogEvent) -> str:
    """An event for people: local time, level and message, a traceback indented below."""
    when = f"{_moment(event).astimezone():%Y-%m-%d %H:%M:%S}"
    lines = [f"{when} {_level(event):<5} {_visible(_message(event))}"]
    lines += (_INDENT + _visible(line) for line in _traceback(event).splitlines())
    return "\n".join(lines) + "\n"


def as_json(event: LogEvent) -> str:
    """An event for programs: a flat JSON object in ASCII, the event's own plain fields in it."""
    told = {
        "time": f"{_moment(event):%Y-%m-%dT%H:%M:%S.%fZ}",
        "level": _level(event),
        "system": str(event.get("log_system") or event.get("log_namespace", "-")),
        "message": _message(event),
    }
    traceback = _traceback(event)
    if traceback:
        told["traceback"] = traceback
    own = {
        key: value
        for key, value in event.items()
        if not key.startswith("log_") and key not in _INTERNAL | told.keys() and _is_plain(value)
    }
    line = json.dumps({key: _whole(value) for key, value in (told | own).items()})
    return line.replace("\x7f", "\\u007f") + "\n"  # the one control character JSON lets stand


FORMATS: Final[dict[str, Callable[[LogEvent], str]]] = {"text": as_text, "json": as_json}
"""The formats of ``[log] format``."""


@implementer(ILogObserver)
@attrs.define(eq=False)
class LogFile:
    """Writes every event as a line, in the ``format`` of a configuration.

    Until :meth:`open` is called, and always where there is no ``path``, it writes to standard
    output. What can't be written (a full disk) is counted, and told once something can.

    There is no lock, because a signal may log while its own thread is in here: a line is one
    ``write`` to a descriptor that stays the same when the file is opened again.
    """

    format: str
    path: Path | None = None
    descriptor: int = STANDARD_OUTPUT
    _lost: int = 0
    _why: str = ""
    _torn: bool = False

    def __call__(self, event: LogEvent) -> None:
        """Write an event down, if it is wanted."""
        try:
            if not wanted(event):
                return
            line = FORMATS[self.format](event)
        except Exception as error:  # noqa: BLE001 (an observer that raises is taken out of the log)
            line = self._own(event, "an event has no text: {why}", why=type(error).__name__)
        if self._lost:
            told = "{lost} events are missing here: {why}"
            line = self._own(event, told, lost=self._lost, why=self._why) + line
        try:
            self._write(line.encode("ascii" if self.format == "json" else "utf-8"))
        except OSError as error:
            self._lost += 1
            self._why = error.strerror or str(error)
        else:
            self._lost = 0

    def open(self, directory: Path) -> None:
        """Write to the file from now on; a relative path is in ``directory``.

        Raises:
            LogError
        """
        if self.path is None:
            return
        self.path = directory / self.path
        try:
            self.descriptor = _append_to(self.path)
        except OSError as error:
            raise LogError(f"{self.path}: {error.strerror}") from None

    def reopen(self) -> None:
        """Write to what has the file's name by now, after somebody has renamed the file.

        Where that can't be had, the old one is written on.
        """
        if self.path is None or self.descriptor == STANDARD_OUTPUT:
            return
        try:
            descriptor = _append_to(self.path)
        except OSError as error:
            _log.error("{file}: {why}", file=str(self.path), why=error.strerror)
            return
        os.dup2(descriptor, self.descriptor, inheritable=False)
        os.close(descriptor)

    def _write(self, line: bytes) -> None:
        if self._torn:  # half a line of an earlier event stands there
            line = b"\n" + line
        while line:
            line = line[os.write(self.descriptor, line) :]
            self._torn = bool(line)

    def _own(self, event: LogEvent, words: str, **fields: Any) -> str:
        """The line of an event of the log's own, at the time of another one."""
        return FORMATS[self.format](
            {
                "log_time": event.get("log_time"),
                "log_level": LogLevel.error,
                "log_namespace": __name__,
                "log_format": words,
                **fields,
            }
        )


def _append_to(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _moment(event: LogEvent) -> datetime:
    """When it happened; the epoch where an event doesn't say, or says nonsense."""
    at = event.get("log_time")
    return datetime.fromtimestamp(at if isinstance(at, float) and 0 < at < _LATEST else 0, UTC)


def _level(event: LogEvent) -> str:
    level: str = event.get("log_level", LogLevel.info).name
    return level


def _message(event: LogEvent) -> str:
    if "log_failure" not in event and "failure" in event:
        # The older way of logging an error has the traceback in its text.
        return str(event.get("why") or "Unhandled error")
    return formatEvent(event)


def _traceback(event: LogEvent) -> str:
    failure = event.get("log_failure") or event.get("failure")
    return "" if failure is None else str(failure.getTraceback())


def _visible(text: str) -> str:
    """The text with everything escaped that doesn't stand on the line as itself."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _whole(value: Any) -> Any:
    """A value that JSON has: no NaN, no half of a character."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return str(value).encode("utf-8", "backslashreplace").decode()
    return value
