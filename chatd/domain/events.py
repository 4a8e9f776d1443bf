"""Events: everything that a client can be told.

The rule: frozen values with meaning and no wording; a codec gives them words. An event with a
``room`` is for everyone in that room, any other is for one link. ``at`` is seconds since the epoch.
"""

from enum import Enum
from typing import Final

import attrs

from chatd.domain.filenames import FileName
from chatd.domain.names import ChannelName, Key, Name, RoomName
from chatd.domain.text import Text


class Prompt(Enum):
    """What a person is asked to type next; the value is the wording."""

    NAME = "Name"
    PASSWORD = "Password"
    OLD_PASSWORD = "Old password"
    NEW_PASSWORD = "New password"
    AGAIN = "Again"

    @property
    def secret(self) -> bool:
        """Whether the answer must not show on the screen."""
        return self is not Prompt.NAME


@attrs.frozen
class Greeted:
    """The first thing a connection is told: where it is. ``channel`` None is the lobby."""

    server: str
    channel: ChannelName | None
    here: int
    capacity: int


@attrs.frozen
class Asked:
    """The session needs ``prompts`` answered; ``verb`` with ``text`` is the request they make."""

    verb: str
    text: str
    prompts: tuple[Prompt, ...]


@attrs.frozen
class Invited:
    """Nobody has this name yet, and it may be registered."""

    name: Name


@attrs.frozen
class Welcomed:
    """Let in: to a channel, or to the lobby where ``channel`` is None. Always the first there."""

    name: Name
    channel: ChannelName | None
    server: str
    at: float


@attrs.frozen
class Queued:
    """In a full channel's queue, with so many ahead."""

    ahead: int
    at: float


@attrs.frozen
class Joined:
    """Somebody came into the room."""

    room: RoomName
    name: Name
    at: float


@attrs.frozen
class Left:
    """Somebody is no longer in the room, for whatever reason."""

    room: RoomName
    name: Name
    at: float


@attrs.frozen
class WentAfk:
    """Somebody was silent for too long and has been put out of the room."""

    room: RoomName
    name: Name
    at: float


@attrs.frozen
class Dropped:
    """Somebody's connection was cut by the server, and why; :class:`Left` follows."""

    room: RoomName
    name: Name
    reason: str
    at: float


@attrs.frozen
class Said:
    """A line in a room. ``seq`` is its place there, given by the journal; 0 before that."""

    room: RoomName
    author: Name
    text: Text
    at: float
    seq: int = 0


@attrs.frozen
class Announced:
    """The server's words to everyone in a room."""

    room: RoomName
    text: str
    at: float


@attrs.frozen
class Broadcasted:
    """Somebody's words to everyone online."""

    room: RoomName
    author: Name
    text: Text
    at: float


@attrs.frozen
class Muted:
    """Somebody in the room may not talk for so many seconds; himself he is told apart."""

    room: RoomName
    name: Name
    seconds: int
    at: float


class Seen(Enum):
    """What operators can watch, and read in the log; the value is the word for it."""

    LOGIN = "login"
    LOGOUT = "logout"
    JOIN = "join"
    LEAVE = "leave"
    REFUSAL = "refusal"
    DROP = "drop"
    ACT = "act"


@attrs.frozen
class Watched:
    """Something that was seen; for those who watch. ``text`` says where, why or to whom."""

    room: RoomName
    what: Seen
    who: str
    text: str
    at: float


@attrs.frozen
class Tuned:
    """A link hears a room from here on; nobody is told."""

    room: RoomName


@attrs.frozen
class Untuned:
    """A link hears a room no longer; nobody is told."""

    room: RoomName


@attrs.frozen
class Detached:
    """A link hears nothing any more; nobody is told."""


@attrs.frozen
class MailWanted:
    """Somebody hears everything he should: what he missed can be read now. Nobody is told."""

    key: Key


@attrs.frozen
class Ended:
    """A group is no more, and everything was told to it. Nobody is told."""

    room: RoomName


@attrs.frozen
class Mailed:
    """Lines that somebody missed, in their order and with their dates."""

    lines: tuple[Said, ...]
    at: float


@attrs.frozen
class Messaged:
    """A direct line to somebody who has no account, and so no inbox."""

    author: Name
    text: Text
    at: float


@attrs.frozen
class MessageSent:
    """A direct line, as its author sees it once it is accepted."""

    to: Name
    text: Text
    at: float


@attrs.frozen
class Whispered:
    """A private line to somebody in the same channel, as the target sees it."""

    author: Name
    text: Text
    at: float


@attrs.frozen
class WhisperSent:
    """The same, as its author sees it once it is accepted."""

    to: Name
    text: Text
    at: float


@attrs.frozen
class ChannelRow:
    """One channel in a list: how many are in it, how many may be, how many wait."""

    name: ChannelName
    here: int
    capacity: int
    waiting: int


@attrs.frozen
class ChannelsListed:
    """All channels, in the order of the configuration."""

    rows: tuple[ChannelRow, ...]


@attrs.frozen
class Recalled:
    """Old lines of a room, oldest first; those of another day than ``at``'s show their date."""

    lines: tuple[Said, ...]
    at: float


class Way(Enum):
    """What a ticket is for: to send a file, or to fetch it."""

    PUT = "put"
    GET = "get"


@attrs.frozen
class Place:
    """Where files are taken and given: a port, with TLS or without."""

    host: str
    port: int
    tls: bool


@attrs.frozen
class TicketGiven:
    """Somebody may send or fetch a file with this ticket, for so many seconds.

    ``other`` is whom it goes to or comes from, ``path`` what the file is called on the disk of
    whoever sends it, and ``done`` how many bytes are here, or there, already.
    """

    way: Way
    number: int
    ticket: str
    name: FileName
    path: str
    size: int | None
    sha256: str
    other: str
    done: int
    places: tuple[Place, ...]
    seconds: int
    at: float


@attrs.frozen
class Told:
    """An answer from the server in plain sentences."""

    lines: tuple[str, ...]
    at: float


@attrs.frozen
class Refused:
    """The server says no: a stable code for programs and a sentence for people."""

    code: str
    text: str
    at: float


@attrs.frozen
class Farewell:
    """The last thing a connection is told; it closes after this."""

    text: str
    at: float


RoomEvent = Said | Joined | Left | WentAfk | Dropped | Muted | Announced | Broadcasted | Watched
"""Events for everyone in a room. A line in an inbox is for its owner alone."""

Event = (
    RoomEvent
    | Tuned
    | Untuned
    | Detached
    | MailWanted
    | Ended
    | Greeted
    | Asked
    | Invited
    | Welcomed
    | Queued
    | Whispered
    | WhisperSent
    | Mailed
    | Messaged
    | MessageSent
    | ChannelsListed
    | Recalled
    | TicketGiven
    | Told
    | Refused
    | Farewell
)

ASK_NAME: Final = Asked("introduce", "", (Prompt.NAME,))
"""How a login begins, and where it returns to."""
