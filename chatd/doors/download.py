"""Downloads: one file on its way out, whatever the manner.

The rule: what counts as fetched is what the client's machine has acknowledged, not what ours has
sent. That is asked of the kernel (TIOCOUTQ, the bytes that are not acknowledged), since neither nc
nor HTTP tells. Rejected: to count what was written, as up to some megabytes of that may never
arrive, and the file would be gone.

A file is fetched with its last byte, and then as many megabytes may still wait on the client's
machine for a program that is about to be killed. That tells by itself: who has read everything
closes his side, and the connection of one who hasn't is reset. So the end waits for either.
"""

import fcntl
import os
import select
import sys
import termios
from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from twisted.internet.tcp import Connection
from zope.interface import implementer

from chatd.domain.errors import Incident, NoSuchTicket
from chatd.domain.events import Way
from chatd.domain.transfers import Claim
from chatd.doors.disk import Reading
from chatd.doors.outbox import unsent
from chatd.doors.passage import MOST, Gone, Passage, claimed, socket_of
from chatd.doors.reception import Reception

_COPIED: Final = 128 * 1024  # what is sent at once where it goes through our memory
_LOOK_SECONDS: Final = 0.1
_GOODBYE_SECONDS: Final = 30.0  # for a client to close his side
_FAREWELL: Final = 64  # bytes that TLS itself says at the end


@implementer(IPushProducer)
class Download:
    """A file that goes out: :meth:`open`, and then always :meth:`run`.

    To a plain socket the kernel copies it, without us (``sendfile``); anything else, as TLS, is
    written to in pieces.
    """

    def __init__(self, reception: Reception, ticket: str) -> None:
        self._reception = reception
        self._ticket = ticket
        self._claim: Claim
        self._reading: Reading
        self._transport: Any = None
        self._socket: Connection | None = None
        self._descriptor: int | None = None  # our own, as the socket's may be closed and reused
        self._sent = 0
        self._full = self._ended = self._closed = self._reset = False
        self._lacking: int | None = None
        self._passage = Passage(reception.hub.clock)

    async def open(self) -> None:
        """Get leave to fetch.

        Raises:
            NoSuchTicket, TransferBusy, Incident
        """
        hub = self._reception.hub
        claim = await claimed(
            self._passage, hub, self._ticket, Way.GET, lambda: self._passage.fail(NoSuchTicket())
        )
        try:
            self._reading = await self._reception.spool.read(claim.transfer.spool)
        except OSError:
            await hub.files.gave(claim, 0, 0)
            raise Incident(hub.incident()) from None
        self._claim = claim

    @property
    def size(self) -> int:
        """How many bytes the file has; from :meth:`open` on."""
        return self._reading.size

    async def run(self, transport: Any, start: int, end: int) -> None:
        """Send the bytes from ``start`` up to ``end``, and wait until the client has them.

        ``transport`` is the connection's own, without a producer; what was written to it before
        goes first. The connection stays open.

        Raises:
            Gone: it was lost before the client had everything.
            TooSlow, NoSuchTicket (it was taken back), Incident: bytes of the file may be on their
                way, so that no words can follow them.
        """
        hub = self._reception.hub
        self._sent = start
        self._passage.watch()
        try:
            self._connect(transport)
            while self._sent < end:
                await self._send(min(MOST, end - self._sent))
            await self._acknowledged()
            self._lacking = 0  # what follows, as our side's end, is no more of the file
            await self._read()
        except ConnectionError:
            raise Gone from None
        except (OSError, EOFError):
            raise Incident(hub.incident()) from None
        finally:
            self._passage.unwatch()
            most = end - 1 if self._reset else end
            upto = max(start, min(self._sent - self._lacks(), most))
            self._disconnect()
            await hub.files.gave(self._claim, start, upto)
            await self._reading.close()

    def end(self) -> None:
        """The client has closed his side, as he does when he has read everything."""
        self._ended = True
        self._passage.wake()

    def lost(self, *, closed: bool = False) -> None:
        """The connection is gone; ``closed`` as it should be, not reset."""
        self._closed = closed
        self._reset = not closed
        self._passage.fail(Gone())

    # From the transport.

    def pauseProducing(self) -> None:
        """It has enough for now."""
        self._full = True

    def resumeProducing(self) -> None:
        """It has room."""
        self._full = False
        self._passage.wake()

    def stopProducing(self) -> None:
        """The connection is about to be lost, in what way is not told yet."""
        self._lacking = self._lacks()  # as long as the kernel knows it

    # Inside.

    def _connect(self, transport: Any) -> None:
        self._passage.check()
        self._transport, self._socket = transport, socket_of(transport)
        # A socket of its own asks for more when all that was written before is gone.
        transport.registerProducer(self, transport is not self._socket)
        self._passage.check()
        if self._socket is not None:
            self._full = self._full or transport is self._socket
            self._descriptor = os.dup(self._socket.fileno())

    def _disconnect(self) -> None:
        if self._transport is not None:
            self._transport.unregisterProducer()
        if self._descriptor is not None:
            os.close(self._descriptor)

    async def _send(self, count: int) -> None:
        """Send up to so many bytes, as soon as there is room."""
        self._passage.check()
        direct = self._transport is self._socket
        while self._full:
            if direct:
                self._transport.startWriting()
            self._passage.theirs()
            await self._passage.wait()
            self._passage.ours()
            self._passage.check()
        if direct:
            assert self._descriptor is not None
            sent = await self._reading.send(self._descriptor, self._sent, count)
            self._full = sent < count
        else:
            data = await self._reading.read(self._sent, min(_COPIED, count))
            self._passage.check()
            sent = len(data)
            self._transport.write(data)
        self._sent += sent
        self._passage.moved(sent)

    async def _acknowledged(self) -> None:
        """Wait until the client's machine has everything that was sent."""
        lacks = self._lacks()
        self._passage.theirs()
        while lacks:
            if self._closed and lacks <= _FAREWELL:
                return
            self._passage.check()
            if self._descriptor is not None and _is_reset(self._descriptor):
                self._reset = True
                raise Gone
            await self._passage.wait(_LOOK_SECONDS)
            before, lacks = lacks, self._lacks()
            self._passage.moved(before - lacks)

    async def _read(self) -> None:
        """Wait until the client has read it, as far as he lets that be known."""
        if self._socket is None or self._transport is not self._socket:
            return
        clock = self._reception.hub.clock
        until = clock.seconds() + _GOODBYE_SECONDS
        self._passage.unwatch()
        self._transport.unregisterProducer()
        self._transport.loseWriteConnection()
        while not self._ended and clock.seconds() < until:
            self._passage.check()
            await self._passage.wait(until - clock.seconds())

    def _lacks(self) -> int:
        """How many bytes of those that were sent the client may not have."""
        if self._lacking is not None:
            return self._lacking
        if self._socket is None or self._descriptor is None:
            return 0
        answer = fcntl.ioctl(self._descriptor, termios.TIOCOUTQ, bytes(4))
        return unsent(self._socket) + int.from_bytes(answer, sys.byteorder)


def _is_reset(descriptor: int) -> bool:
    """Whether a connection is no more: not told by the reactor where nothing is read or written."""
    looking = select.poll()
    looking.register(descriptor, 0)
    return bool(looking.poll(0))
