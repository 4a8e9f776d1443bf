"""SIGHUP: what is to be done again while the server runs.

The rule: a signal only ever wakes the reactor; everything is done there, and never twice at once.
"""

import signal
from collections.abc import Callable, Coroutine
from typing import Any

import attrs

Act = Callable[[], Coroutine[Any, Any, None]]


@attrs.define(eq=False)
class Hangups:
    """Does something for every SIGHUP: at once, or once more when it is done already.

    ``spawn`` runs a coroutine by itself.
    """

    _reactor: Any
    _spawn: Callable[[Coroutine[Any, Any, None]], object]
    _act: Act
    _before: Any = None  # who got the signal
    _wanted: bool = False
    _busy: bool = False
    _over: bool = False

    def listen(self) -> None:
        """Take the signal from now on. In the main thread only."""
        self._before = signal.signal(signal.SIGHUP, self._caught)

    def ignore(self) -> None:
        """Do nothing more; the signal does no harm until :meth:`leave` either."""
        self._over = True

    def leave(self) -> None:
        """Give the signal back to whoever had it before."""
        signal.signal(signal.SIGHUP, self._before)

    def _caught(self, _number: int, _frame: object) -> None:
        self._reactor.callFromThread(self._come)

    def _come(self) -> None:
        self._wanted = True
        if not self._busy:
            self._spawn(self._work())

    async def _work(self) -> None:
        self._busy = True
        try:
            while self._wanted and not self._over:
                self._wanted = False
                await self._act()
        finally:
            self._busy = False
