"""The first line of a transfer by nc, whole and byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.domain.errors import BadArguments, ChatError, NoSuchTicket, TooSlow, Unwanted
from chatd.wire.transfer import (
    LONGEST,
    Get,
    Http,
    Opening,
    Put,
    accepted,
    read_opening,
    refused,
)

TICKET = "0123456789abcdef0123456789abcdef"
USAGE = "The first line is PUT TICKET [SIZE [OFFSET]] or GET TICKET [OFFSET]."

LINES: list[tuple[str, Opening]] = [
    (f"PUT {TICKET}\n", Put(TICKET, None, 0)),
    (f"PUT {TICKET} 12\n", Put(TICKET, 12, 0)),
    (f"PUT {TICKET} 12 5\n", Put(TICKET, 12, 5)),
    (f"PUT {TICKET} 0 0\n", Put(TICKET, 0, 0)),
    (f"GET {TICKET}\n", Get(TICKET, 0)),
    (f"GET {TICKET} 5\r\n", Get(TICKET, 5)),
    (f"put\t{TICKET.upper()}       12\t 5 \r\n", Put(TICKET, 12, 5)),
    (f"PUT {TICKET} {'9' * 18}\n", Put(TICKET, 10**18 - 1, 0)),
]

BAD: list[tuple[str, type[ChatError], str]] = [
    ("\n", BadArguments, USAGE),
    ("PUT\n", BadArguments, USAGE),
    ("hello there\n", BadArguments, USAGE),
    (f"POST {TICKET}\n", BadArguments, USAGE),
    (f"PUT {TICKET} 1 2 3\n", BadArguments, USAGE),
    (f"GET {TICKET} 1 2\n", BadArguments, USAGE),
    (f"PUT {TICKET} -5\n", BadArguments, "-5 is no number of bytes."),
    (f"PUT {TICKET} 1 -5\n", BadArguments, "-5 is no number of bytes."),
    (f"PUT {TICKET} 1e6\n", BadArguments, "1e6 is no number of bytes."),
    (f"PUT {TICKET} {'9' * 19}\n", BadArguments, f"{'9' * 19} is no number of bytes."),
    (
        f"GET {TICKET} \x1b[2J\n",
        BadArguments,
        "\N{REPLACEMENT CHARACTER}[2J is no number of bytes.",
    ),
    (f"GET {TICKET[1:]}\n", NoSuchTicket, str(NoSuchTicket())),
    (f"GET {TICKET}0\n", NoSuchTicket, str(NoSuchTicket())),
    ("GET TICKET\n", NoSuchTicket, str(NoSuchTicket())),
    ("GET ../../etc/passwd\n", NoSuchTicket, str(NoSuchTicket())),
    (f"GET {TICKET}{' ' * 300}\n", BadArguments, f"The first line is too long. {USAGE}"),
    ("x" * LONGEST, BadArguments, f"The first line is too long. {USAGE}"),
    ("\x16\x03\x01\x02\x00" + "\x01" * 512, BadArguments, f"The first line is too long. {USAGE}"),
]

WEB = [
    f"PUT /{TICKET} HTTP/1.1\r\n",
    f"GET /{TICKET}?download HTTP/1.0\r\n",
    "HEAD / HTTP/1.1\r\n",
    "DELETE /x HTTP/1.1\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    f"GET http://localhost:5080/{TICKET} HTTP/1.1\r\n",
    "CONNECT example.org:443 HTTP/1.1\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    f"GET /{'x' * 5000}",
]


@pytest.mark.parametrize(("line", "opening"), LINES)
def test_line(line: str, opening: Opening) -> None:
    """The words of a first line are understood, and the bytes after it are left as they are."""
    assert read_opening(line.encode()) == (opening, b"")
    assert read_opening(line.encode() + b"\n\0PUT\r\n") == (opening, b"\n\0PUT\r\n")


@pytest.mark.parametrize(("line", "opening"), LINES)
def test_byte_by_byte(line: str, opening: Opening) -> None:
    """Nothing is decided before the line's end."""
    assert {read_opening(line[:end].encode()) for end in range(len(line))} == {None}


@pytest.mark.parametrize(("line", "kind", "words"), BAD)
def test_bad_line(line: str, kind: type[ChatError], words: str) -> None:
    """Any other line is refused in a sentence."""
    with pytest.raises(ChatError) as caught:
        read_opening(line.encode())
    assert (type(caught.value), str(caught.value)) == (kind, words)


@pytest.mark.parametrize("text", WEB)
def test_http(text: str) -> None:
    """HTTP is told apart, by its first line at the latest, and all of it is handed on."""
    assert read_opening(text.encode()) == (Http(), text.encode())
    line = text.split("\n")[0]
    assert {read_opening(line[:end].encode()) for end in range(len(line))} <= {
        None,
        *((Http(), line[:end].encode()) for end in range(len(line))),
    }


def test_longest_line() -> None:
    """A first line may have 256 bytes with its end, and no more."""
    line = f"GET {TICKET}".ljust(LONGEST - 1)
    assert read_opening(line.encode()) is None
    assert read_opening(f"{line}\n".encode()) == (Get(TICKET, 0), b"")
    with pytest.raises(BadArguments):
        read_opening(f"{line} \n".encode())


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    """Whatever comes is understood, refused or waited for."""
    try:
        found = read_opening(data)
    except (BadArguments, NoSuchTicket):
        return
    assert found is None or data.endswith(found[1])


def test_answers() -> None:
    """An answer is one line, and no terminal can be harmed by it."""
    assert accepted(5, "ab") == b"OK 5 ab\n"
    assert refused(TooSlow()) == f"ERROR {TooSlow()}\n".encode()
    shown = refused(Unwanted("a\nb\x1b[2J")).decode()
    assert shown.splitlines() == [shown[:-1]]
    assert "\x1b" not in shown
