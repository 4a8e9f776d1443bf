"""What a service manager is told of this process: sd_notify(3), without its library.

The rule: where nobody asked to be told ($NOTIFY_SOCKET) nothing is done, and what can't be told
never hurts the server.

The variables are taken out of the environment, as sd_notify does when it is asked to: a program
that chatd starts would otherwise speak for chatd.
"""

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import attrs
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

_log = Logger()

_MICROSECONDS: Final = 1_000_000


@attrs.define(eq=False)
class Notifier:
    """Tells the service manager, where there is one, when chatd is ready, reloads and stops.

    ``watchdog`` is the time in seconds after which silence means that chatd hangs; 0 is never.
    ``monotonic`` gives the time of CLOCK_MONOTONIC in nanoseconds.
    """

    address: str
    watchdog: float
    _reactor: Any
    _monotonic: Callable[[], int] = time.monotonic_ns
    _alive: LoopingCall | None = None
    _failing: bool = False

    @classmethod
    def of(cls, environment: MutableMapping[str, str], reactor: Any) -> "Notifier":
        """The one that an environment asks for; the variables are taken out of it."""
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        # systemd waits for signs of life of this process only, not of one that it starts.
        ours = environment.pop("WATCHDOG_PID", "") in {"", str(os.getpid())}
        watched = address and ours and microseconds.isdecimal()
        return cls(address, int(microseconds) / _MICROSECONDS if watched else 0.0, reactor)

    def ready(self, status: str) -> None:
        """It serves (again); from now on it gives signs of life."""
        self._tell("READY=1", f"STATUS={status}", f"MAINPID={os.getpid()}")
        if self.watchdog and self._alive is None:
            self._alive = LoopingCall(self._tell, "WATCHDOG=1")
            self._alive.clock = self._reactor
            self._alive.start(self.watchdog / 2)

    def reloading(self) -> None:
        """It reads its configuration again; :meth:`ready` follows."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={self._monotonic() // 1000}")

    def stopping(self) -> None:
        """It stops; from now on the manager's time for that runs, and not the watchdog's."""
        if self._alive is not None:
            self._alive.stop()
            self._alive = None
        self._tell("STOPPING=1", "STATUS=stopping")

    def _tell(self, *words: str) -> None:
        if not self.address:
            return
        # A name that begins with @ is no file: to the kernel it begins with a zero byte.
        to = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(words).encode(), to)
        except OSError as error:
            if not self._failing:
                why = error.strerror or str(error)
                _log.warn("$NOTIFY_SOCKET, {to}: {why}", to=self.address, why=why)
            self._failing = True
        else:
            self._failing = False
