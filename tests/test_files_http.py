"""Files by HTTP: what a client is answered, with the disk in memory."""

import hashlib
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from chatd.domain.errors import NoSpace
from chatd.domain.events import Seen, TicketGiven, Told
from chatd.domain.limits import Gate
from chatd.domain.session import Session
from chatd.doors.fileweb import http
from chatd.doors.passage import CLAIM_SECONDS
from chatd.doors.reception import Reception
from chatd.doors.webconnection import REQUEST_SECONDS, WebConnection
from tests.disks import MemoryDisk
from tests.fakes import World, sent_to

TEXT = b"Hello, bob!\n"
SHA256 = hashlib.sha256(TEXT).hexdigest()


class Wire(StringTransport):
    """A transport that is as patient with its producers as a real one, and can be ``full``."""

    full = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Ask it for nothing while this is full."""
        super().registerProducer(producer, streaming)  # type: ignore[no-untyped-call]
        if self.full:
            producer.pauseProducing()

    def drain(self) -> None:
        """Have room again."""
        self.full = False
        producer: Any = self.producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """There is none any more."""
        self.producer = None


@attrs.frozen
class Answer:
    """What a server answers to a request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@attrs.define(eq=False)
class Caller:
    """One connection, and what has come back on it."""

    connection: WebConnection
    transport: Wire
    _bodyless: bool = False

    def send(self, data: bytes) -> None:
        """Send bytes in one segment."""
        self.connection.dataReceived(data)  # type: ignore[no-untyped-call]

    def take(self) -> bytes:
        """What was sent since the last call."""
        wire: Any = self.transport
        sent: bytes = wire.value()
        wire.clear()
        return sent

    def answers(self) -> list[Answer]:
        """The answers since the last call."""
        data, answers = self.take(), []
        while data:
            head, _, data = data.partition(b"\r\n\r\n")
            first, *lines = head.decode("ascii").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            status = int(first.split(" ")[1])
            count = 0 if self._bodyless else int(headers.get("Content-Length", 0))
            answers.append(Answer(status, headers, data[:count]))
            data = data[count:]
        return answers

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"") -> Answer:
        """The one answer to a request."""
        self._bodyless = method == "HEAD"
        self.send("\r\n".join([f"{method} {path} HTTP/1.1", *headers, "", ""]).encode() + body)
        (answer,) = self.answers()
        return answer

    def half_close(self) -> None:
        """Close the client's side; the server closes its own then, and the connection is gone."""
        self.connection.readConnectionLost()
        assert self.transport.disconnecting
        self.lose()

    def lose(self) -> None:
        """Let the connection be gone."""
        self.connection.connectionLost(connectionDone)


@attrs.define(eq=False)
class Doorway:
    """A door for files, with alice and bob in the chat."""

    world: World
    disk: MemoryDisk = attrs.field(factory=MemoryDisk)
    callers: list[Caller] = attrs.field(factory=list)
    alice: Session = attrs.field(init=False)
    bob: Session = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.alice, self.bob = self.world.login("alice"), self.world.login("bob")

    def call(self) -> Caller:
        """A new connection."""
        reception = Reception(self.world.hub, Gate(0, 0), "files", 0, None)
        reception.spool = self.disk
        caller = Caller(http(reception, "10.0.0.9"), Wire(lenient=True))  # type: ignore[no-untyped-call]
        caller.connection.makeConnection(caller.transport)  # type: ignore[no-untyped-call]
        self.callers.append(caller)
        return caller

    def to_send(self, name: str = "notes.txt") -> str:
        """The path of a ticket of alice's to send a file to bob."""
        sent_to(self.alice)
        self.alice.receive(f"send bob {name}")
        return self._ticket(self.alice)

    def to_fetch(self, name: str = "notes.txt", data: bytes = TEXT) -> str:
        """The path of a ticket of bob's to fetch what alice has sent."""
        path = self.to_send(name)
        sent_to(self.bob)
        answer = self.call().ask("PUT", path, f"Content-Length: {len(data)}", body=data)
        assert answer.status == 201
        return self._ticket(self.bob)

    def heard(self, who: Session) -> list[str]:
        """What somebody was told in the chat since this was last asked."""
        self.world.turn()
        return [line for event in sent_to(who) if isinstance(event, Told) for line in event.lines]

    def _ticket(self, who: Session) -> str:
        self.world.turn()
        (given,) = (event for event in sent_to(who) if isinstance(event, TicketGiven))
        return f"/{given.ticket}"


@pytest.fixture
def door(world: World, clock: Clock) -> Any:
    """A door for files; every connection is gone at the end."""
    made = Doorway(world)
    yield made
    for caller in made.callers:
        caller.lose()
    clock.advance(1)


def test_put(door: Doorway) -> None:
    """A file that is sent whole is there, and both are told so."""
    path = door.to_send()
    caller = door.call()
    answer = caller.ask("PUT", path, f"Content-Length: {len(TEXT)}", body=TEXT)
    assert (answer.status, answer.text) == (201, f"12 {SHA256}\n")
    assert answer.headers["Connection"] == "close"
    assert caller.transport.disconnecting
    assert door.heard(door.alice) == [
        f"notes.txt is here: 12 bytes, sha256 {SHA256}. It is offered to bob."
    ]
    assert list(door.disk.files.values()) == [TEXT]


def test_put_byte_by_byte(door: Doorway) -> None:
    """It doesn't matter in which pieces a request comes."""
    path = door.to_send()
    caller = door.call()
    for byte in f"PUT {path} HTTP/1.1\r\nContent-Length: 12\r\n\r\n".encode() + TEXT:
        caller.send(bytes([byte]))
    (answer,) = caller.answers()
    assert (answer.status, answer.text) == (201, f"12 {SHA256}\n")


def test_put_in_chunks(door: Doorway) -> None:
    """A file whose size nobody knows before its end comes in chunks."""
    path = door.to_send()
    caller = door.call()
    caller.send(f"PUT {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    caller.send(b"5\r\nHello\r\n")
    caller.send(b"7;x=y\r\n, bob!\n\r\n0\r\n")
    assert caller.take() == b""
    caller.send(b"\r\n")
    (answer,) = caller.answers()
    assert (answer.status, answer.text) == (201, f"12 {SHA256}\n")
    assert caller.transport.disconnecting


def test_put_nothing(door: Doorway) -> None:
    """An empty file is a file."""
    answer = door.call().ask("PUT", door.to_send(), "Content-Length: 0")
    assert (answer.status, answer.text) == (201, f"0 {hashlib.sha256().hexdigest()}\n")


def test_put_without_length(door: Doorway) -> None:
    """A request that doesn't say how long it is has no body, and that is no empty file."""
    caller = door.call()
    answer = caller.ask("PUT", door.to_send())
    assert (answer.status, answer.text) == (
        411,
        "How long is it? Send Content-Length, or in chunks.\n",
    )
    assert not caller.transport.disconnecting


def test_put_when_asked_to_go_on(door: Doorway) -> None:
    """A client that waits is told to go on when its ticket was found good."""
    path = door.to_send()
    caller = door.call()
    head = f"PUT {path} HTTP/1.1\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n"
    caller.send(head.encode())
    assert caller.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    caller.send(TEXT)
    (answer,) = caller.answers()
    assert answer.status == 201


def test_put_refused_before_the_body(door: Doorway, clock: Clock) -> None:
    """A client that waits for leave to send is told no instead, and has a moment to read that."""
    caller = door.call()
    answer = caller.ask("PUT", f"/{'0' * 32}", "Content-Length: 9999999", "Expect: 100-continue")
    assert (answer.status, answer.text) == (
        404,
        "This ticket is not good, or not any more; /get gives a fresh one.\n",
    )
    assert answer.headers["Connection"] == "close"
    assert not caller.transport.disconnecting
    clock.advance(4.9)
    assert not caller.transport.disconnected
    clock.advance(0.2)
    assert caller.transport.disconnected


def test_put_refused_while_it_comes(door: Doorway) -> None:
    """What a refused client sends meanwhile is thrown away; at its end the connection closes."""
    caller = door.call()
    caller.ask("PUT", f"/{'0' * 32}", "Content-Length: 12", body=b"Hello")
    caller.send(b", bob")
    assert not caller.transport.disconnecting
    caller.send(b"!\nGET / HTTP/1.1\r\n\r\n")
    assert (caller.transport.disconnecting, caller.take()) == (True, b"")


def test_put_refused_and_closed_by_the_client(door: Doorway) -> None:
    """A refused client that has read why, and closes its side, is closed."""
    caller = door.call()
    caller.ask("PUT", f"/{'0' * 32}", "Content-Length: 12", body=b"Hello")
    caller.connection.readConnectionLost()
    assert caller.transport.disconnecting


def test_put_with_a_broken_chunk(door: Doorway) -> None:
    """A body that breaks HTTP's rules ends the upload; what came before that is kept."""
    path = door.to_send()
    caller = door.call()
    caller.send(f"PUT {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    caller.send(b"5\r\nHello\r\nnonsense\r\n")
    assert caller.take() == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    caller.lose()
    assert door.call().ask("HEAD", path).headers["Upload-Offset"] == "5"


@pytest.mark.parametrize("close", [Caller.lose, lambda caller: caller.half_close()])
def test_put_broken_and_resumed(door: Doorway, close: Callable[[Caller], None]) -> None:
    """An upload that broke goes on from where the server says, with the same ticket."""
    path = door.to_send("notes.txt 12")
    caller = door.call()
    caller.send(f"PUT {path} HTTP/1.1\r\nContent-Length: 12\r\n\r\nHello".encode())
    close(caller)
    assert door.heard(door.alice) == [
        "notes.txt stopped at 5 of 12 bytes; /get 1 tells how to go on."
    ]
    answer = door.call().ask("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
    assert (answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == ("5", "12")
    answer = door.call().ask(
        "PUT", path, "Content-Range: bytes 5-11/12", "Content-Length: 7", body=TEXT[5:]
    )
    assert (answer.status, answer.text) == (201, f"12 {SHA256}\n")


def test_put_broken_in_chunks(door: Doorway) -> None:
    """The end of a connection is not the end of a file that comes in chunks."""
    path = door.to_send()
    caller = door.call()
    caller.send(f"PUT {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello".encode())
    caller.half_close()
    answer = door.call().ask("HEAD", path)
    assert answer.headers["Upload-Offset"] == "5"
    assert "Upload-Length" not in answer.headers


def test_put_begun_again(door: Doorway) -> None:
    """An upload without a Content-Range begins at the beginning, whatever is there."""
    path = door.to_send()
    caller = door.call()
    caller.send(f"PUT {path} HTTP/1.1\r\nContent-Length: 12\r\n\r\nJello".encode())
    caller.lose()
    answer = door.call().ask("PUT", path, "Content-Length: 12", body=TEXT)
    assert (answer.status, answer.text) == (201, f"12 {SHA256}\n")


def test_put_from_too_far(door: Doorway) -> None:
    """An upload can't leave out bytes, and is told where it can go on."""
    path = door.to_send()
    headers = ("Content-Range: bytes 5-11/12", "Content-Length: 7")
    answer = door.call().ask("PUT", path, *headers, body=TEXT[5:])
    assert (answer.status, answer.text) == (
        409,
        "The server has 0 bytes of it: go on from there.\n",
    )
    assert answer.headers["Upload-Offset"] == "0"


def test_put_of_no_part(door: Doorway) -> None:
    """A Content-Range that makes no sense is refused before anything is taken."""
    path = door.to_send()
    headers = ("Content-Range: bytes 5-4/5", "Content-Length: 12")
    answer = door.call().ask("PUT", path, *headers, body=TEXT)
    assert (answer.status, answer.text) == (
        400,
        "Content-Range is bytes START-END/SIZE, up to the end of the file.\n",
    )
    assert door.disk.files == {}


def test_put_of_another_size(door: Doorway) -> None:
    """A file of another size than alice has announced is refused."""
    path = door.to_send("notes.txt 13")
    answer = door.call().ask("PUT", path, "Content-Length: 12", body=TEXT)
    assert answer.status == 400
    assert "13" in answer.text


def test_put_too_large(door: Doorway) -> None:
    """A file above the limit is refused before it comes."""
    door.world.hub.files.rules = attrs.evolve(door.world.hub.files.rules, file_bytes=11)
    answer = door.call().ask("PUT", door.to_send(), "Content-Length: 12", body=TEXT)
    assert (answer.status, answer.text) == (413, "A file has at most 11 bytes here.\n")


def test_put_on_a_full_disk(door: Doorway) -> None:
    """A full disk refuses a file, and everything else goes on."""
    path = door.to_send()
    door.disk.error = NoSpace()
    answer = door.call().ask("PUT", path, "Content-Length: 12", body=TEXT)
    assert (answer.status, answer.text) == (
        507,
        "The server has no room for that file now.\n",
    )
    assert door.call().ask("PUT", path, "Content-Length: 12", body=TEXT).status == 201


def test_put_of_something_unwanted(door: Doorway) -> None:
    """What the scanner refuses is refused in its words."""
    door.world.wrong = "it has a virus"
    answer = door.call().ask("PUT", door.to_send(), "Content-Length: 12", body=TEXT)
    assert (answer.status, answer.text) == (422, "notes.txt was refused: it has a virus\n")


def test_put_cancelled(door: Doorway) -> None:
    """An upload that alice cancels meanwhile is ended, and the client told so."""
    path = door.to_send()
    caller = door.call()
    caller.send(f"PUT {path} HTTP/1.1\r\nContent-Length: 12\r\n\r\nHello".encode())
    door.alice.receive("cancel 1")
    (answer,) = caller.answers()
    assert answer.status == 404
    caller.send(b", bob!\n")
    assert caller.transport.disconnecting
    assert door.call().ask("HEAD", path).status == 404


def test_put_twice_at_once(door: Doorway) -> None:
    """A file comes through one connection at a time."""
    path = door.to_send()
    door.call().send(f"PUT {path} HTTP/1.1\r\nContent-Length: 12\r\n\r\nHello".encode())
    second = door.call()
    second.send(f"PUT {path} HTTP/1.1\r\nContent-Length: 12\r\n\r\n".encode())
    door.world.clock.pump([CLAIM_SECONDS / 8] * 9)
    (answer,) = second.answers()
    assert (answer.status, answer.text) == (
        409,
        "That is under way already, in another connection.\n",
    )


def test_put_to_a_ticket_for_fetching(door: Doorway) -> None:
    """A ticket is for one thing."""
    assert door.call().ask("PUT", door.to_fetch(), "Content-Length: 1", body=b"x").status == 404


def test_put_too_slowly(door: Doorway, clock: Clock) -> None:
    """A client that sends next to nothing is cut, and told so."""
    caller = door.call()
    caller.send(f"PUT {door.to_send()} HTTP/1.1\r\nContent-Length: 9999\r\n\r\n".encode())
    for _ in range(3):
        clock.advance(20)
        caller.send(b"x")
    (answer,) = caller.answers()
    assert (answer.status, answer.text) == (
        408,
        "That was too slow; the same ticket goes on from here.\n",
    )


def test_put_faster_than_the_disk(door: Doorway) -> None:
    """A client that is faster than the disk has to wait."""
    size = 3 * 1024 * 1024
    caller = door.call()
    caller.send(f"PUT {door.to_send()} HTTP/1.1\r\nContent-Length: {size}\r\n\r\n".encode())
    door.disk.busy = True
    caller.send(b"x")
    caller.send(b"x" * (size // 2 - 1))
    assert caller.transport.producerState == "paused"
    door.disk.proceed()
    assert caller.transport.producerState == "producing"
    caller.send(b"x" * (size // 2))
    (answer,) = caller.answers()
    assert answer.status == 201


def test_get(door: Doorway) -> None:
    """A recipient gets the bytes, and all there is to know of them; then the ticket is used."""
    path = door.to_fetch("Größe.txt")
    caller = door.call()
    answer = caller.ask("GET", path)
    assert (answer.status, answer.body) == (200, TEXT)
    assert answer.headers == {
        "Server": "chatd",
        "Date": "Thu, 01 Jan 1970 00:00:00 GMT",
        "Content-Type": "application/octet-stream",
        "Content-Length": "12",
        "Content-Disposition": "attachment; filename=\"Gro_e.txt\"; filename*=UTF-8''"
        "Gr%C3%B6%C3%9Fe.txt",
        "Accept-Ranges": "bytes",
        "ETag": f'"{SHA256}"',
        "Repr-Digest": "sha-256=:AVyOZvQKcmcB8w+7uFYVq6a9sn3+4C0fmCNUcnw+gWY=:",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
    }
    assert caller.transport.disconnecting
    assert door.heard(door.alice)[-1] == "bob has fetched Größe.txt."
    assert door.call().ask("GET", path).status == 404


def test_head(door: Doorway) -> None:
    """A HEAD has the same headers as a GET, and leaves the ticket as it is."""
    path = door.to_fetch()
    caller = door.call()
    head = caller.ask("HEAD", path, "Range: bytes=0-4")
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "12", b"")
    assert not caller.transport.disconnecting
    got = caller.ask("GET", path)
    assert head.headers | {"Connection": "close"} == got.headers


def test_get_in_parts(door: Doorway) -> None:
    """A file can be fetched in parts; with the last byte of it, it is fetched."""
    path = door.to_fetch()
    answer = door.call().ask("GET", path, "Range: bytes=0-4")
    assert (answer.status, answer.body) == (206, b"Hello")
    assert answer.headers["Content-Range"] == "bytes 0-4/12"
    answer = door.call().ask("GET", path, "Range: bytes=5-", f'If-Range: "{SHA256}"')
    assert (answer.status, answer.body) == (206, b", bob!\n")
    assert door.call().ask("GET", path).status == 404


@pytest.mark.parametrize(
    "headers", [["Range: bytes=0-1,3-4"], ["Range: bytes=5-", 'If-Range: "x"']]
)
def test_get_whole_instead_of_a_part(door: Doorway, headers: list[str]) -> None:
    """Who wants several parts, or has a part of something else, gets the file whole."""
    answer = door.call().ask("GET", door.to_fetch(), *headers)
    assert (answer.status, answer.body) == (200, TEXT)


def test_get_behind_the_end(door: Doorway) -> None:
    """A part behind the end is refused, with the size; the ticket is still good."""
    path = door.to_fetch()
    answer = door.call().ask("GET", path, "Range: bytes=12-")
    assert (answer.status, answer.text) == (416, "The file has 12 bytes, and none there.\n")
    assert answer.headers["Content-Range"] == "bytes */12"
    assert door.call().ask("GET", path).status == 200


def test_get_by_a_name(door: Doorway) -> None:
    """A name behind the ticket is for the client's own use."""
    answer = door.call().ask("GET", f"{door.to_fetch()}/notes.txt?x")
    assert (answer.status, answer.body) == (200, TEXT)


def test_get_by_a_browser(door: Doorway) -> None:
    """A browser shows a page with a link, and the link has the file."""
    path, accept = door.to_fetch(), "Accept: text/html,*/*;q=0.8"
    answer = door.call().ask("GET", path, accept)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "script-src 'sha256-" in answer.headers["Content-Security-Policy"]
    assert '<a href="?download">' in answer.text
    answer = door.call().ask("GET", f"{path}?download", accept)
    assert (answer.status, answer.body) == (200, TEXT)
    answer = door.call().ask("GET", path, accept)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "This ticket is not good" in answer.text


def test_get_a_ticket_for_sending(door: Doorway) -> None:
    """A ticket for sending shows a browser where to choose a file, and others what to do."""
    path = door.to_send("notes.txt 12")
    answer = door.call().ask("GET", path, "Accept: text/html")
    assert (answer.status, answer.headers["Upload-Offset"]) == (200, "0")
    assert '<input type="file"' in answer.text
    answer = door.call().ask("GET", path)
    assert (answer.status, answer.text) == (405, "This ticket is for sending a file, with PUT.\n")
    assert answer.headers["Allow"] == "HEAD, PUT"


def test_get_from_a_broken_disk(door: Doorway) -> None:
    """A file that can't be read is the server's mistake, and said to be."""
    path = door.to_fetch()
    door.disk.error = OSError("broken")
    answer = door.call().ask("GET", path)
    assert (answer.status, door.world.incidents) == (500, [1])


def test_get_of_a_file_that_has_shrunk(door: Doorway) -> None:
    """A file that is shorter than it was breaks off, so that nobody takes it for whole."""
    path = door.to_fetch()
    (name,) = door.disk.files
    door.disk.files[name] = b"Hel"
    caller = door.call()
    caller.send(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    assert caller.transport.disconnected
    assert door.world.incidents == [1]


def test_get_lost(door: Doorway) -> None:
    """A recipient who goes away in the middle of it gets the file another time."""
    path = door.to_fetch()
    caller = door.call()
    caller.transport.full = True
    caller.send(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    caller.lose()
    assert door.call().ask("GET", path).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_root(door: Doorway, method: str) -> None:
    """The root says what this is."""
    answer = door.call().ask(method, "/")
    words = (
        "" if method == "HEAD" else "chatd takes and gives files here, for tickets from the chat.\n"
    )
    assert (answer.status, answer.text) == (200, words)


@pytest.mark.parametrize("path", ["/favicon.ico", "/..", f"/{'0' * 31}", f"/{'g' * 32}", "/%00"])
def test_nothing_here(door: Doorway, path: str) -> None:
    """What is no ticket is nothing, and nobody is suspected of guessing."""
    answer = door.call().ask("GET", path)
    assert (answer.status, answer.text) == (
        404,
        "There is nothing here: an address has a ticket in it.\n",
    )
    assert door.world.hub.counts.refusals == 0


def test_guess(door: Doorway) -> None:
    """A ticket that is guessed is refused, counted, and seen by operators."""
    door.call().ask("GET", f"/{'0' * 32}")
    assert door.world.hub.counts.refusals == 1
    seen = door.world.seen[-1]
    assert (seen.what, seen.who, seen.text) == (
        Seen.REFUSAL,
        "10.0.0.9",
        "no_such_ticket at files",
    )


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "get", "PROPFIND"])
def test_other_methods(door: Doorway, method: str) -> None:
    """There is nothing else that can be done with a ticket."""
    answer = door.call().ask(method, door.to_send(), "Content-Length: 5", body=b"Hello")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, PUT")


def test_many_requests(door: Doorway) -> None:
    """A connection is good for several requests, also when they come at once."""
    caller = door.call()
    caller.send(b"GET / HTTP/1.1\r\n\r\n" * 3)
    assert [answer.status for answer in caller.answers()] == [200, 200, 200]
    assert not caller.transport.disconnecting


@pytest.mark.parametrize(
    "request_", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"]
)
def test_last_request(door: Doorway, request_: bytes) -> None:
    """A client that wants the connection closed after an answer has it closed."""
    caller = door.call()
    caller.send(request_ * 2)
    (answer,) = caller.answers()
    assert (answer.headers["Connection"], caller.transport.disconnecting) == ("close", True)


def test_half_closed(door: Doorway) -> None:
    """A client that sends no more still gets what it has asked for, and is closed then."""
    path = door.to_fetch()
    caller = door.call()
    caller.transport.full = True
    caller.send(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    caller.connection.readConnectionLost()
    assert not caller.transport.disconnecting
    caller.transport.drain()
    (answer,) = caller.answers()
    assert (answer.body, caller.transport.disconnecting) == (TEXT, True)
    idle = door.call()
    idle.connection.readConnectionLost()
    assert idle.transport.disconnecting


@pytest.mark.parametrize(
    "lines",
    [
        b"GET / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nno header\r\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 501 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 9000 + b"\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
        b"GET /\x80\r\n\r\n",
        b"GET\r\n\r\n",
    ],
)
def test_bad_requests(door: Doorway, lines: bytes) -> None:
    """What is no HTTP is told so, once, and closed."""
    caller = door.call()
    caller.send(lines)
    assert caller.take() == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert caller.transport.disconnecting


@pytest.mark.parametrize("done", [b"", b"GET / HTTP/1.1\r\n\r\n"])
def test_request_too_slow(door: Doorway, clock: Clock, done: bytes) -> None:
    """A client has some seconds for a request as a whole, the first one and each after it."""
    caller = door.call()
    caller.send(done)
    for byte in b"GET / HTTP/1.1\r\n"[:9]:
        clock.advance(REQUEST_SECONDS / 10)
        caller.send(bytes([byte]))
    assert not caller.transport.disconnecting
    clock.advance(REQUEST_SECONDS / 10)
    assert caller.transport.disconnecting
    assert not caller.transport.disconnected
    clock.advance(5)
    assert caller.transport.disconnected


def test_page_that_is_not_read(door: Doorway, clock: Clock) -> None:
    """The time for the next request begins when the one before is answered."""
    caller = door.call()
    clock.advance(REQUEST_SECONDS - 1)
    caller.ask("GET", "/")
    clock.advance(REQUEST_SECONDS - 1)
    assert not caller.transport.disconnecting
