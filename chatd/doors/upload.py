"""Uploads: one file on its way in, whatever the manner.

The rule: what has come is kept whatever happens, and nothing is accepted that isn't all there.
"""

from typing import Final, Protocol

from chatd.domain.errors import (
    ChatError,
    Incident,
    Incomplete,
    NoSuchTicket,
    WrongOffset,
    WrongSize,
)
from chatd.domain.events import Way
from chatd.domain.text import plural
from chatd.domain.transfers import Claim
from chatd.doors.disk import Writing
from chatd.doors.passage import MOST, Gone, Passage, claimed, socket_of
from chatd.doors.reception import Reception

_MOST_PIECES: Final = 1000  # that many tiny ones take memory too

_READ: Final = 256 * 1024
"""Bytes that are read at once: 1.4 seconds of a core for a GiB, where Twisted's 64 KiB cost 1.8."""


class Source(Protocol):
    """Where an upload comes from: a transport."""

    def pauseProducing(self) -> object:
        """Read no more for now."""

    def resumeProducing(self) -> object:
        """Read on."""


class Upload:
    """A file that comes in: :meth:`open`, and then always :meth:`run`.

    ``size`` is that of the whole file if the client tells it, ``offset`` where the first byte
    belongs that he sends. Where the size is known, from him or from before, the upload is complete
    with its last byte, else with :meth:`end`. The others can be called from the beginning on.
    """

    def __init__(
        self,
        reception: Reception,
        source: Source,
        ticket: str,
        size: int | None = None,
        offset: int = 0,
    ) -> None:
        self._reception = reception
        self._source = source
        self._ticket = ticket
        self._size = size
        self._came = offset
        self._claim: Claim | None = None
        self._writing: Writing
        self._pieces: list[bytes] = []
        self._gathered = 0
        self._paused = self._ended = self._over = False
        self._cancelled = False
        self._passage = Passage(reception.hub.clock)

    async def open(self) -> None:
        """Get leave to send, and have the disk ready.

        Raises:
            NoSuchTicket, TransferBusy, WrongOffset, WrongSize, TooLarge, NoSpace, Incident
        """
        try:
            hub = self._reception.hub
            claim = await claimed(self._passage, hub, self._ticket, Way.PUT, self._cut)
            await self._begin(claim)
        except BaseException:
            self._over, self._pieces = True, []
            self._read_on()
            raise
        self._claim = claim
        if self._size is None:
            self._size = claim.transfer.size
        early, self._pieces, self._gathered = self._pieces, [], 0
        for piece in early:
            self.take(piece)

    def take(self, data: bytes) -> None:
        """More of it has come; what is too much for it is thrown away."""
        if self._over or self._passage.error is not None:
            return
        if self._claim is not None and not self._count(self._claim, len(data)):
            return
        self._pieces.append(data)
        self._gathered += len(data)
        self._passage.moved(len(data))
        if self._gathered >= MOST or len(self._pieces) >= _MOST_PIECES:
            self._hold()
        self._passage.wake()

    def end(self) -> None:
        """The client has sent all that he wants to."""
        self._ended = True
        self._passage.wake()

    def lost(self) -> None:
        """The connection is gone; what has come is kept, and a file that is complete is taken."""
        if not self._complete:
            self._passage.fail(Gone())

    async def run(self) -> tuple[int, str]:
        """Write what comes until all of it is safe on the disk, scanned and offered.

        Returns its size and its SHA-256 in hex.

        Raises:
            Incomplete, WrongSize, TooLarge, TooSlow, NoSpace, Unwanted, Incident
            NoSuchTicket: it was cancelled meanwhile.
            Gone: the connection was lost.
        """
        hub, claim = self._reception.hub, self._claim
        assert claim is not None
        socket = socket_of(self._source)
        if socket is not None:
            socket.bufferSize = _READ
        self._passage.watch()
        try:
            await self._write()
            self._passage.unwatch()
            size, sha256 = await self._writing.finish()
            self._passage.check()
            await hub.files.finish(claim, size, sha256)
        except (OSError, EOFError):
            raise Incident(hub.incident()) from None
        finally:
            self._over = True
            self._passage.unwatch()
            self._read_on()
            await hub.files.release(claim, await self._writing.close())
            if self._cancelled:
                # It may have been removed before we opened it, and so made it again.
                self._reception.spool.remove(claim.transfer.spool)
        return size, sha256

    async def _begin(self, claim: Claim) -> None:
        """Have the disk ready."""
        hub, upto = self._reception.hub, claim.parcel.received
        try:
            hub.files.begin(claim, self._came, self._size)
            upto = self._came
            self._writing = await self._reception.spool.write(claim.transfer.spool, self._came)
        except (ChatError, OSError, EOFError) as error:
            await hub.files.release(claim, error.offset if isinstance(error, WrongOffset) else upto)
            if not isinstance(error, ChatError):
                raise Incident(hub.incident()) from None
            raise

    async def _write(self) -> None:
        """Write until everything is there, or nothing more will come."""
        while self._gathered or not self._complete:
            if self._gathered:
                pieces, self._pieces, self._gathered = self._pieces, [], 0
                self._read_on()
                await self._writing.write(pieces)
                continue
            self._passage.check()
            if self._ended:
                words = f"{self._came} of {plural(self._size or 0, 'byte')} are here"
                raise Incomplete(f"{words}: the same ticket goes on from {self._came}.")
            await self._passage.wait()
        self._passage.check()

    @property
    def _complete(self) -> bool:
        """Whether all of it has come."""
        if self._claim is None or self._passage.error is not None:
            return False
        return self._came == self._size if self._size is not None else self._ended

    def _count(self, claim: Claim, count: int) -> bool:
        """Whether so many bytes more may come."""
        if self._size is not None and self._came + count > self._size:
            words = f"There is more than the {plural(self._size, 'byte')} announced."
            self._passage.fail(WrongSize(words))
            return False
        try:
            self._reception.hub.files.took(claim, count)
        except ChatError as error:
            self._passage.fail(error)
            return False
        self._came += count
        return True

    def _cut(self) -> None:
        self._cancelled = True
        self._passage.fail(NoSuchTicket())

    def _hold(self) -> None:
        if not self._paused:
            self._paused = True
            self._passage.ours()
            self._source.pauseProducing()

    def _read_on(self) -> None:
        if self._paused:
            self._paused = False
            self._passage.theirs()
            self._source.resumeProducing()
