"""Files by nc: a line from the client, then the bytes (PRODUCT.md, 10).

The rule: here is what this manner makes of a ticket, and how its connections are closed; the bytes
go through :mod:`chatd.doors.upload` and :mod:`chatd.doors.download`, as in the other manner.

Who sends a file is answered with a line, "OK" or "ERROR". Who fetches one reads its bytes and
nothing else, so that an error amid them can only be a reset.
"""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure

from chatd.domain.errors import ChatError, NoSuchTicket, WrongOffset
from chatd.domain.events import Way
from chatd.domain.ports import Timer
from chatd.domain.session import LINGER
from chatd.doors.download import Download
from chatd.doors.passage import Gone
from chatd.doors.reception import Reception
from chatd.doors.upload import Upload
from chatd.wire.transfer import Get, Put, accepted, refused


class RawConnection(Protocol):
    """One connection, from its first line's end on. ``opening`` may be a refusal already."""

    transport: Any

    def __init__(self, reception: Reception, address: str, opening: Put | Get | ChatError) -> None:
        self._reception = reception
        self._address = address
        self._opening = opening
        self._passage: Upload | Download | None = None
        self._sending = False  # of a file, behind which no sentence can stand
        self._ended = False
        self._over = False
        self._timer: Timer | None = None

    # From the transport.

    def connectionMade(self) -> None:
        """Do what is asked."""
        self._reception.hub.spawn(self._serve())

    def dataReceived(self, data: bytes) -> None:
        """Take what the client has sent; there may be too much of it."""
        if isinstance(self._passage, Upload):
            self._passage.take(data)

    def readConnectionLost(self) -> None:
        """The client sends no more, but may still read."""
        self._ended = True
        if self._over:
            self.transport.loseConnection()
        elif self._passage is not None:
            self._passage.end()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; a clean end is one of the client's bytes as well."""
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        closed = reason.check(ConnectionDone) is not None
        match self._passage:
            case Upload() as upload:
                if closed:
                    upload.end()  # with TLS nobody can close one side only
                upload.lost()
            case Download() as download:
                download.lost(closed=closed)

    # Inside.

    async def _serve(self) -> None:
        try:
            match self._opening:
                case Put(ticket, size, offset):
                    await self._take(Upload(self._reception, self.transport, ticket, size, offset))
                case Get(ticket, offset):
                    await self._give(ticket, offset)
                case error:
                    raise error
        except Gone:
            self._abort()
        except ChatError as error:
            self._reception.refused(self._address, error)
            if self._sending:
                self._abort()
            else:
                self._refuse(error)

    async def _take(self, upload: Upload) -> None:
        """Take a file."""
        self._passage = upload
        await upload.open()
        size, sha256 = await upload.run()
        self._say(accepted(size, sha256))
        self.transport.loseConnection()

    async def _give(self, ticket: str, offset: int) -> None:
        """Give a file, or the rest of it."""
        parcel, way = await self._reception.hub.files.look(ticket)
        if way is not Way.GET:
            raise NoSuchTicket
        if offset > (parcel.transfer.size or 0):
            raise WrongOffset(parcel.transfer.size or 0)
        download = self._passage = Download(self._reception, ticket)
        if self._ended:
            download.end()
        await download.open()
        self._sending = True
        await download.run(self.transport, offset, download.size)
        self._say(b"")
        self.transport.loseConnection()

    def _refuse(self, error: ChatError) -> None:
        """Say no, and give a client that still sends the time to read it.

        Closed at once, with bytes of its unread, the kernel would reset the connection, and the
        words might be lost with it.
        """
        self._say(refused(error))
        if isinstance(self.transport, Connection) and not self._ended:
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def _abort(self) -> None:
        if self.transport.connected:  # TLS stumbles over it otherwise
            self.transport.abortConnection()

    def _say(self, last: bytes) -> None:
        """Send the last words, and have the connection closed in a few seconds at the latest."""
        if not self._over:
            self._over = True
            self._timer = self._reception.hub.clock.callLater(
                LINGER, self.transport.abortConnection
            )
            self.transport.write(last)
