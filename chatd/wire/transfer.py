"""The manner of nc: one line that says which ticket and which way, then bytes.

``PUT TICKET [SIZE [OFFSET]]`` or ``GET TICKET [OFFSET]``, with LF or CR LF, and any spaces between
the words, as ``wc -c`` puts some before its number. HTTP is told apart here too.

The rule: bytes in, values or a refusal out; nothing here waits, or knows a connection.
"""

import re
from typing import Final

import attrs

from chatd.domain.errors import BadArguments, ChatError, NoSuchTicket
from chatd.domain.text import clean

LONGEST: Final = 256
"""Bytes of a first line at the most, its end counted."""

_USAGE: Final = "The first line is PUT TICKET [SIZE [OFFSET]] or GET TICKET [OFFSET]."
_TICKET: Final = re.compile(rb"[0-9a-f]{32}")
_NUMBER: Final = re.compile(rb"[0-9]{1,18}")
_HTTP: Final = re.compile(rb"[A-Z]+ (/|\*|https?://|.* HTTP/)")


@attrs.frozen
class Put:
    """Somebody sends a file, or the rest of one from ``offset``; ``size`` is that of all of it."""

    ticket: str
    size: int | None
    offset: int


@attrs.frozen
class Get:
    """Somebody fetches a file, or the rest of one from ``offset``."""

    ticket: str
    offset: int


@attrs.frozen
class Http:
    """Somebody speaks HTTP."""


Opening = Put | Get | Http
"""What a connection is for."""


def read_opening(data: bytes) -> tuple[Opening, bytes] | None:
    """What a connection is for by its first bytes, and what follows; None as long as that is open.

    What follows HTTP's opening is all of it.

    Raises:
        BadArguments: it is for nothing that there is.
        NoSuchTicket: no ticket looks like that.
    """
    head, end, rest = data.partition(b"\n")
    if _HTTP.match(head):
        return Http(), data
    if len(head) + len(end) > LONGEST or (not end and len(head) == LONGEST):
        raise BadArguments(f"The first line is too long. {_USAGE}")
    return (_read_line(head), rest) if end else None


def accepted(size: int, sha256: str) -> bytes:
    """What is answered when a file is here."""
    return f"OK {size} {sha256}\n".encode()


def refused(error: ChatError) -> bytes:
    """What is answered when something is refused."""
    return f"ERROR {clean(str(error))}\n".encode()


def _read_line(line: bytes) -> Opening:
    match [word.upper() if not at else word for at, word in enumerate(line.split())]:
        case [b"PUT", ticket]:
            return Put(_ticket(ticket), None, 0)
        case [b"PUT", ticket, size]:
            return Put(_ticket(ticket), _number(size), 0)
        case [b"PUT", ticket, size, offset]:
            return Put(_ticket(ticket), _number(size), _number(offset))
        case [b"GET", ticket]:
            return Get(_ticket(ticket), 0)
        case [b"GET", ticket, offset]:
            return Get(_ticket(ticket), _number(offset))
    raise BadArguments(_USAGE)


def _ticket(word: bytes) -> str:
    ticket = word.lower()
    if not _TICKET.fullmatch(ticket):
        raise NoSuchTicket
    return ticket.decode()


def _number(word: bytes) -> int:
    if not _NUMBER.fullmatch(word):
        raise BadArguments(f"{clean(word.decode(errors='replace'))} is no number of bytes.")
    return int(word)
