"""The process around the chat server: where twistd's log goes, SIGHUP, and what systemd is told.

The rule: what there is one of in a process is taken here, so that a test can run any number of chat
servers in its own.
"""

import os
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger

from chatd import __version__
from chatd.config import Log
from chatd.domain.errors import ChatError
from chatd.logs import STANDARD_OUTPUT, LogFile
from chatd.signals import Hangups
from chatd.systemd import Notifier

_log = Logger()

_STATUS: Final = f"chatd {__version__} is ready"


class Chat(Protocol):
    """The chat server, as its process sees it; see :class:`chatd.domain.ports.Server`."""

    async def rehash(self) -> tuple[str, ...]:
        """Read the configuration again, apply it, and say what is different."""

    def reopen(self) -> None:
        """Open the files again that somebody may have renamed."""

    def stop(self) -> None:
        """Store everything, say goodbye to everyone and end."""


class Process(MultiService):
    """Runs the chat server as the only one of its process.

    ``log`` is None where twistd's command line says how to log; ``spawn`` runs a coroutine by
    itself; ``command`` is what twistd was told. The chat server is the one child.
    """

    def __init__(
        self,
        reactor: Any,
        chat: Chat,
        log: LogFile | None,
        notifier: Notifier,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        command: Mapping[str, Any] | None = None,
    ) -> None:
        MultiService.__init__(self)
        self.chat = chat
        self._reactor = reactor
        self._log = log
        self._notifier = notifier
        self._hangups = Hangups(reactor, spawn, self._hangup)
        self._in_terminal = False
        self._command = command or {}

    def setServiceParent(self, parent: Any) -> None:
        """Belong to twistd's application, and tell it how to log."""
        MultiService.setServiceParent(self, parent)
        if self._log is not None:
            parent.setComponent(ILogObserver, self._log)

    def startService(self) -> None:
        """Start the chat server; once it is ready, tell so."""
        self._in_terminal = os.isatty(STANDARD_OUTPUT)
        try:
            MultiService.startService(self)
        except SystemExit:
            # The process that put this one into the background would wait for word for ever.
            if "statusPipe" in self._command:
                os.write(self._command["statusPipe"], b"1 chatd can't start")
            raise
        self._hangups.listen()
        self._reactor.callWhenRunning(self._notifier.ready, _STATUS)

    def stopService(self) -> Deferred[None]:
        """Stop the chat server; SIGHUP does nothing any more."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._notifier.stopping()
        self._hangups.ignore()
        await MultiService.stopService(self)
        self._hangups.leave()

    async def _hangup(self) -> None:
        """Do what SIGHUP asks for: new files, the new configuration, or the end."""
        if self._in_terminal and not os.isatty(STANDARD_OUTPUT):
            # Its window was closed. Nobody could see or end it any more, and it keeps the ports.
            self.chat.stop()
            return
        self._notifier.reloading()
        self.chat.reopen()
        try:
            for line in await self.chat.rehash():
                _log.info("{line}", line=line)
        except ChatError as error:
            for line in str(error).splitlines():
                _log.error("{line}", line=line)
        except Exception:  # noqa: BLE001 (the server runs on, as it was or half changed)
            _log.failure("the configuration could not be read again")
        if self.running:
            self._notifier.ready(_STATUS)


def log_of(log: Log, command: Mapping[str, Any] | None) -> LogFile | None:
    """The log that a configuration and twistd's own command line ask for; the latter goes first.

    None where the command line names another one (--logger, --syslog), or nonsense, which twistd
    then tells.
    """
    given = command or {"nodaemon": True}
    in_background = not given.get("nodaemon")
    file = given.get("logfile") or ""
    if given.get("logger") or given.get("syslog") or (file == "-" and in_background):
        return None
    if file == "-":
        return LogFile(log.format)
    if file:
        return LogFile(log.format, Path(file).absolute())
    if log.file:
        return LogFile(log.format, Path(log.file))
    # Where there is nobody at a terminal it is the file that twistd writes by default.
    return LogFile(log.format, Path("twistd.log").absolute() if in_background else None)
