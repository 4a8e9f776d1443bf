"""Files by HTTP: how a browser, curl and wget send and fetch them (PRODUCT.md, 10).

The rule: here is what HTTP makes of a ticket: methods, status codes and headers. The bytes go
through :mod:`chatd.doors.upload` and :mod:`chatd.doors.download`, as in the other manner, and how a
connection is kept and closed is in :mod:`chatd.doors.webconnection`.
"""

import re
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.web.http import Request, datetimeToString
from twisted.web.iweb import INonQueuedRequestFactory
from zope.interface import provider

from chatd.domain.errors import ChatError, WrongOffset
from chatd.domain.events import Way
from chatd.domain.records import Transfer
from chatd.domain.transfers import Parcel
from chatd.doors.download import Download
from chatd.doors.filepages import POLICY, download_page, sentence_page, upload_page
from chatd.doors.passage import Gone
from chatd.doors.reception import Reception
from chatd.doors.upload import Upload
from chatd.doors.webconnection import WebConnection
from chatd.wire.webheaders import digest, disposition, sent_part, wanted_part

_PATH: Final = re.compile(rb"/([0-9a-f]{32})(?:/.*)?", re.DOTALL)
"""A ticket, and perhaps a name: curl adds it where a URL ends in a slash, wget saves under it."""

_STATUS: Final = {
    "no_such_ticket": 404,
    "too_slow": 408,
    "transfer_busy": 409,
    "wrong_offset": 409,
    "too_large": 413,
    "unwanted": 422,
    "incident": 500,
    "no_space": 507,
}
"""The status codes of refusals; 400 for all others."""

_ALWAYS: Final = {
    "Server": "chatd",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_NO_PAGE: Final = "default-src 'none'; sandbox"
_TEXT: Final = "text/plain; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"


def http(reception: Reception, address: str) -> WebConnection:
    """What speaks HTTP to a client from ``address``, whom the door has let in and counts.

    The door hands it the transport (``makeConnection``) and then all that has come
    (``dataReceived``), the first bytes included, and passes on ``readConnectionLost`` and
    ``connectionLost``. From ``makeConnection`` on, timers, closing and the transport's producers
    are its own.
    """

    @provider(INonQueuedRequestFactory)
    def request(channel: WebConnection) -> WebRequest:
        return WebRequest(channel, reception, address)

    return WebConnection(request, reception.hub.clock)


class WebRequest(Request):
    """One request, and the answer to it. ``length`` is its body's, None where that isn't known."""

    transport: Any

    def __init__(self, channel: WebConnection, reception: Reception, address: str) -> None:
        Request.__init__(self, channel)
        self._connection = channel
        self._reception = reception
        self._address = address
        self._passage: Upload | Download | None = None
        self._begun = self._ended = False

    # From the connection.

    def begin(self, method: bytes, uri: bytes, version: bytes, length: int | None) -> None:
        """Answer what is asked, as soon as the headers are there; the body may be still to come."""
        self._begun = True
        self.method, self.uri, self.clientproto = method, uri, version
        self._reception.hub.spawn(self._answer(length))

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body has come."""
        if isinstance(self._passage, Upload):
            self._passage.take(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of it has come."""
        if not self._begun:
            self.begin(command, path, version, 0)
        elif isinstance(self._passage, Upload):
            self._passage.end()

    def readConnectionLost(self) -> None:
        """The client sends no more; all of the request has come."""
        self._ended = True
        if isinstance(self._passage, Download):
            self._passage.end()

    def connectionLost(self, reason: Failure) -> None:
        """The client is gone."""
        Request.connectionLost(self, reason)
        match self._passage:
            case Upload() as upload:
                upload.lost()
            case Download() as download:
                download.lost(closed=reason.check(ConnectionDone) is not None)

    # What is asked.

    async def _answer(self, length: int | None) -> None:
        try:
            await self._do(length)
        except Gone:
            self._connection.abort()
        except ChatError as error:
            if self.startedWriting:  # of a file, behind which no sentence can stand
                self._connection.abort()
            else:
                self._turn_down(error)

    async def _do(self, length: int | None) -> None:
        path, _, query = self.uri.partition(b"?")
        found = _PATH.fullmatch(path)
        ticket = found[1].decode() if found else ""
        if self.method not in {b"GET", b"HEAD", b"PUT"}:
            self._say(405, "There is GET, HEAD and PUT.", Allow="GET, HEAD, PUT")
        elif path == b"/" and self.method != b"PUT":
            server = self._reception.hub.rules.server
            self._say(200, f"{server} takes and gives files here, for tickets from the chat.")
        elif not ticket:
            self._say(404, "There is nothing here: an address has a ticket in it.")
        elif self.method == b"PUT":
            await self._take(ticket, length)
        else:
            await self._show(ticket, query)

    async def _take(self, ticket: str, length: int | None) -> None:
        """Take a file."""
        start, size = 0, length
        part = self.getHeader("Content-Range")
        if part is not None:
            start, size = sent_part(part, length)
        elif length == 0 and self.getHeader("Content-Length") is None:
            self._say(411, "How long is it? Send Content-Length, or in chunks.")
            return
        upload = self._passage = Upload(self._reception, self.transport, ticket, size, start)
        if length == 0:
            upload.end()
        await upload.open()
        if (self.getHeader("Expect") or "").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        size, sha256 = await upload.run()
        self._send(201, _TEXT, f"{size} {sha256}\n".encode())

    async def _show(self, ticket: str, query: bytes) -> None:
        """Tell of a file, or give it."""
        parcel, way = await self._reception.hub.files.look(ticket)
        if self._disconnected:
            return
        if way is Way.PUT:
            self._tell_upload(parcel)
        elif self._wants_page and query != b"download":
            self._send(200, _HTML, download_page(parcel.transfer))
        else:
            await self._give(ticket, parcel.transfer)

    def _tell_upload(self, parcel: Parcel) -> None:
        """Tell how much of a file is there."""
        transfer, received = parcel.transfer, parcel.received
        headers = {"Upload-Offset": str(received)}
        if transfer.size is not None:
            headers["Upload-Length"] = str(transfer.size)
        if self._wants_page:
            self._send(200, _HTML, upload_page(transfer, received), **headers)
        elif self.method == b"HEAD":
            self._send(200, _TEXT, b"", **headers)
        else:
            words = "This ticket is for sending a file, with PUT."
            self._say(405, words, Allow="HEAD, PUT", **headers)

    async def _give(self, ticket: str, transfer: Transfer) -> None:
        """Give a file, or the part of it that is wanted."""
        size = transfer.size
        assert size is not None
        try:
            part = self._wanted_part(transfer, size)
        except WrongOffset:
            words = f"The file has {size} bytes, and none there."
            self._say(416, words, **{"Content-Range": f"bytes */{size}"})
            return
        start, end = part or (0, size)
        headers = {
            "Content-Disposition": disposition(transfer.name),
            "Accept-Ranges": "bytes",
            "ETag": _etag(transfer),
            "Repr-Digest": digest(transfer.sha256),
        }
        if part is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        status, kind = 200 if part is None else 206, "application/octet-stream"
        if self.method == b"HEAD":
            self._begin(status, kind, size, headers)
            Request.finish(self)
            return
        download = self._passage = Download(self._reception, ticket)
        if self._ended:
            download.end()
        await download.open()
        self._connection.hand_over()
        self._begin(status, kind, end - start, headers)
        await download.run(self.transport, start, end)
        if not self._disconnected:
            Request.finish(self)

    def _wanted_part(self, transfer: Transfer, size: int) -> tuple[int, int] | None:
        """From where up to where it is wanted; None for all of it."""
        header = self.getHeader("Range")
        if header is None or self.method == b"HEAD":
            return None
        if self.getHeader("If-Range") not in {None, _etag(transfer)}:
            return None
        return wanted_part(header, size)

    # How it is answered.

    @property
    def _wants_page(self) -> bool:
        """Whether a browser asks for something to show."""
        return self.method == b"GET" and "text/html" in (self.getHeader("Accept") or "").lower()

    def _turn_down(self, error: ChatError) -> None:
        self._reception.refused(self._address, error)
        headers = {}
        if isinstance(error, WrongOffset):
            headers["Upload-Offset"] = str(error.offset)
        self._say(_STATUS.get(error.code, 400), str(error), **headers)

    def _say(self, status: int, sentence: str, **headers: str) -> None:
        """Answer with a sentence."""
        if self._wants_page:
            title = self._reception.hub.rules.server
            self._send(status, _HTML, sentence_page(title, sentence), **headers)
        else:
            self._send(status, _TEXT, f"{sentence}\n".encode(), **headers)

    def _send(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        """Answer."""
        if not self._disconnected:
            self._begin(status, kind, len(body), headers)
            if self.method != b"HEAD":
                Request.write(self, body)
            Request.finish(self)

    def _begin(self, status: int, kind: str, length: int, headers: dict[str, str]) -> None:
        """Send what stands before the answer's body."""
        if self._disconnected:
            return
        self.setResponseCode(status)
        fixed = {
            "Date": datetimeToString(self._reception.hub.clock.seconds()).decode(),
            "Content-Type": kind,
            "Content-Length": str(length),
            "Content-Security-Policy": POLICY if kind == _HTML else _NO_PAGE,
        }
        if not self._connection.persistent:
            fixed["Connection"] = "close"
        for name, value in (_ALWAYS | fixed | headers).items():
            self.responseHeaders.setRawHeaders(name, [value])
        Request.write(self, b"")


def _etag(transfer: Transfer) -> str:
    return f'"{transfer.sha256}"'
