"""Passages: what a file on its way in has in common with one on its way out.

The rule: a passage holds about a megabyte, however large the file and however slow the other side;
whoever is faster waits, and whoever hardly moves is cut, so that nobody keeps a place for nothing.
Only the time in which the other side could have moved counts, not that which our own disk takes.
"""

from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.tcp import Connection

from chatd.domain.errors import TooSlow, TransferBusy
from chatd.domain.events import Way
from chatd.domain.hub import Hub
from chatd.domain.ports import Clock, Timer
from chatd.domain.transfers import Claim

MOST: Final = 1024 * 1024
"""Bytes that are gathered while the disk is busy, and that are sent at once."""

SECONDS: Final = 60.0
"""How long a passage is looked at."""

LEAST: Final = 4096
"""Bytes that move at the least in this time."""

_AGAIN: Final = 1.0

CLAIM_SECONDS: Final = 1.0
"""How long a ticket may be busy with a passage that is about to end."""

_CLAIM_AGAIN: Final = 0.1


class Gone(Exception):
    """The client is gone, and nobody can be answered; no error."""


@attrs.define(eq=False)
class Passage:
    """Waits for one of many things to happen, of which the first :meth:`fail` is the end."""

    _clock: Clock
    error: Exception | None = None
    _wake: "Deferred[None] | None" = None
    _moved: int = 0
    _waited: float = 0.0  # for the other side, since the last look
    _since: float | None = None  # when it was the other side's turn
    _timer: Timer | None = None

    async def wait(self, seconds: float = 0.0) -> None:
        """Wait until something happens, or for so many seconds; 0 is no limit."""
        self._wake = Deferred()
        timer = self._clock.callLater(seconds, self.wake) if seconds else None
        try:
            await self._wake
        finally:
            if timer is not None and timer.active():
                timer.cancel()

    def wake(self) -> None:
        """Something has happened."""
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.callback(None)

    def fail(self, error: Exception) -> None:
        """Let it end in this way, unless it has its end already."""
        if self.error is None:
            self.error = error
            self.wake()

    def check(self) -> None:
        """Raise what it has failed by, if it has."""
        if self.error is not None:
            raise self.error

    # How fast it moves.

    def watch(self) -> None:
        """Fail with TooSlow from now on; it is the other side's turn."""
        self._since = self._clock.seconds()
        self._timer = self._clock.callLater(SECONDS, self._look)

    def unwatch(self) -> None:
        """Let it take as long as it takes."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def theirs(self) -> None:
        """It is the other side's turn."""
        if self._since is None:
            self._since = self._clock.seconds()

    def ours(self) -> None:
        """It is our turn."""
        if self._since is not None:
            self._waited += self._clock.seconds() - self._since
            self._since = None

    def moved(self, count: int) -> None:
        """So many bytes have moved."""
        self._moved += count

    def _look(self) -> None:
        if self._since is not None:
            self.ours()
            self.theirs()
        if self._waited >= SECONDS:
            if self._moved < LEAST:
                self.fail(TooSlow())
                return
            self._waited, self._moved = 0.0, 0
        self._timer = self._clock.callLater(max(SECONDS - self._waited, _AGAIN), self._look)


async def claimed(
    passage: Passage, hub: Hub, ticket: str, way: Way, cut: Callable[[], object]
) -> Claim:
    """Leave to send or fetch a file, as soon as whoever had it before is done.

    A client whose connection has broken, or who fetches a file in parts, is back before the server
    has seen the end of the connection before.

    Raises:
        NoSuchTicket, TransferBusy
        Gone: the client has not waited for it.
    """
    until = hub.clock.seconds() + CLAIM_SECONDS
    while True:
        try:
            return await hub.files.claim(ticket, way, cut)
        except TransferBusy:
            if hub.clock.seconds() >= until:
                raise
        await passage.wait(_CLAIM_AGAIN)
        passage.check()


def socket_of(transport: Any) -> Connection | None:
    """The transport that has the socket: this one, or one inside it."""
    while transport is not None and not isinstance(transport, Connection):
        transport = getattr(transport, "transport", None)
    return transport
