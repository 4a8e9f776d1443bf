"""Scanning: a command of the operator's looks at every file before anybody is offered it.

The rule: what was not looked at is not given on. A scanner that can't be run, is killed or takes
too long refuses the file as one that finds something does.
"""

import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.domain.records import Transfer
from chatd.domain.text import clean

_log = Logger()

_SECONDS: Final = 600.0
_AT_ONCE: Final = 4  # scanners; a thousand small files must not become as many processes
_MOST_OUTPUT: Final = 4096  # bytes
_MOST_SHOWN: Final = 200  # characters
_BROKEN: Final = "the server's scanner could not look at it."


@attrs.define(eq=False)
class Scanner:
    """Runs ``command`` with a file's path behind it; an empty one lets everything through.

    A run that takes more than ``seconds`` is killed.
    """

    command: str
    _directory: Path
    _reactor: Any
    _seconds: float = _SECONDS
    _turns: DeferredSemaphore = attrs.field(factory=lambda: DeferredSemaphore(_AT_ONCE))

    async def scan(self, transfer: Transfer) -> str | None:
        """What is wrong with a file, or None."""
        words = shlex.split(self.command)
        if not words:
            return None
        await self._turns.acquire()
        try:
            return await self._scan(transfer, words)
        finally:
            self._turns.release()

    async def _scan(self, transfer: Transfer, words: list[str]) -> str | None:
        path = str(self._directory / transfer.spool)
        run = _Run(self._reactor, self._seconds)
        try:
            self._reactor.spawnProcess(run, words[0], [*words, path], env=None)
        except OSError:
            _log.failure("the scanner could not be started: {command}", command=self.command)
            return _BROKEN
        done = await run.done
        if done is None:
            return None
        _log.warn(
            "the scanner refused file {number}: {why}; {output}",
            number=transfer.id,
            why=done,
            output=run.text(),
        )
        # The path says nothing to anybody, and where the spool is is nobody's business.
        said = run.text().replace(path, transfer.name).strip().splitlines()
        return clean(said[0].strip())[:_MOST_SHOWN] if said and run.exited else _BROKEN


class _Run(ProcessProtocol):
    """One run of the command; ``done`` fires with None, or with why it refuses the file."""

    def __init__(self, reactor: Any, seconds: float) -> None:
        self.done: Deferred[str | None] = Deferred()
        self.exited = False
        self._reactor = reactor
        self._seconds = seconds
        self._output = b""
        self._timer: Any = None

    def text(self) -> str:
        """What it has written."""
        return self._output.decode(errors="replace")

    def connectionMade(self) -> None:
        """It runs; it reads nothing."""
        self.transport.closeStdin()  # type: ignore[union-attr]
        self._timer = self._reactor.callLater(self._seconds, self._kill)

    def outReceived(self, data: bytes) -> None:
        """Keep the beginning of what it writes."""
        self._output = (self._output + data)[:_MOST_OUTPUT]

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        """It has ended, one way or the other."""
        if self._timer.active():
            self._timer.cancel()
        fine = reason.check(ProcessDone) is not None
        self.exited = getattr(reason.value, "signal", None) is None
        # A scanner that has failed itself, with words for its author and nobody else.
        if b"Traceback (most recent call last)" in self._output:
            self.exited = False
        self.done.callback(None if fine else reason.getErrorMessage())

    def _kill(self) -> None:
        # Its pipes too, which what it has started may hold open.
        self.transport.loseConnection()  # type: ignore[union-attr]
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")  # type: ignore[union-attr]
