"""What telnet and nc users are shown for each event, word by word (PRODUCT.md, 2 to 4)."""

import time
from typing import cast

import pytest

from chatd.domain.events import (
    ASK_NAME,
    ChannelRow,
    ChannelsListed,
    Dropped,
    Event,
    Farewell,
    Greeted,
    Invited,
    Joined,
    Left,
    Queued,
    Recalled,
    Refused,
    Said,
    Told,
    Welcomed,
    WentAfk,
    Whispered,
    WhisperSent,
)
from chatd.domain.names import ChannelName, Name
from chatd.domain.text import Text
from chatd.wire.lines import LineFormat, stranger

GENERAL, WORK = ChannelName("general"), ChannelName("work")
ALICE, BOB = Name("alice"), Name("bob")
DAY = 86_400.0
NOW = 20_000 * DAY + 12 * 3600 + 60 + 5.75
"""2024-10-04 12:01:05 UTC, and a bit."""

NOTICES: list[tuple[Event, str]] = [
    (Joined(GENERAL, BOB, NOW), "bob has joined the channel."),
    (Left(GENERAL, BOB, NOW), "bob has left the channel."),
    (WentAfk(GENERAL, BOB, NOW), "bob went AFK."),
    (
        Dropped(GENERAL, BOB, "too much was left unread", NOW),
        "bob was dropped: too much was left unread.",
    ),
    (Welcomed(BOB, GENERAL, "chatd", NOW), "Welcome to the general channel, bob."),
    (Welcomed(BOB, None, "chatd", NOW), "Welcome to chatd, bob. Type help for the commands."),
    (Queued(0, NOW), "You are in the waiting queue and there are 0 user(s) ahead of you."),
    (Queued(7, NOW), "You are in the waiting queue and there are 7 user(s) ahead of you."),
    (Refused("not_here", "bob is not here.", NOW), "bob is not here."),
    (Farewell("Goodbye, bob.", NOW), "Goodbye, bob."),
    (Told(("bob is online.",), NOW), "bob is online."),
]
"""What stands inside ``[Server message (TIME)]``."""

LINES: list[tuple[Event, list[str]]] = [
    (Said(GENERAL, ALICE, Text("hello"), NOW), ["[alice (12:01:05)] hello"]),
    (Said(GENERAL, ALICE, Text("été \N{SNOWMAN}"), NOW), ["[alice (12:01:05)] été \N{SNOWMAN}"]),
    (Whispered(ALICE, Text("psst"), NOW), ["[alice whispers to you: (12:01:05)] psst"]),
    (WhisperSent(BOB, Text("psst"), NOW), ["[you whisper to bob: (12:01:05)] psst"]),
    (
        Told(("one", "two"), NOW),
        ["[Server message (12:01:05)] one", "[Server message (12:01:05)] two"],
    ),
    (
        ChannelsListed((ChannelRow(GENERAL, 2, 100, 0), ChannelRow(WORK, 5, 5, 12))),
        ["[Channel] general 2/100/0.", "[Channel] work 5/5/12."],
    ),
    (ChannelsListed(()), []),
    (Greeted("chatd", GENERAL, 2, 100), ["chatd: channel general, 2 of 100 here."]),
    (Greeted("chatd", None, 3, 0), ["chatd: lobby, 3 online."]),
    (
        Invited(BOB),
        [
            "There is no account bob yet. "
            "Choose a password to open one, or an empty line to give another name."
        ],
    ),
    (ASK_NAME, []),
    *((event, [f"[Server message (12:01:05)] {text}"]) for event, text in NOTICES),
]


@pytest.mark.parametrize(("event", "lines"), LINES)
def test_each_event_has_its_exact_text(event: Event, lines: list[str]) -> None:
    """Every line reads as PRODUCT.md has it, and ends in CR LF."""
    assert LineFormat(time.gmtime)(event) == "".join(f"{line}\r\n" for line in lines).encode()


def test_an_event_without_words_is_an_error() -> None:
    """What nobody has thought of words for is never shown as something else."""
    with pytest.raises(AssertionError):
        LineFormat()(cast(Event, object()))


def test_the_time_is_that_of_the_event() -> None:
    """Each line shows the second it was said in, whatever was said before."""
    shown = LineFormat(time.gmtime)
    times = [NOW, NOW + 0.2, NOW + 0.3, NOW + 1, NOW - 1, NOW + DAY, 0.0]
    assert [shown(Said(GENERAL, ALICE, Text("x"), at)) for at in times] == [
        b"[alice (12:01:05)] x\r\n",
        b"[alice (12:01:05)] x\r\n",
        b"[alice (12:01:06)] x\r\n",
        b"[alice (12:01:06)] x\r\n",
        b"[alice (12:01:04)] x\r\n",
        b"[alice (12:01:05)] x\r\n",
        b"[alice (00:00:00)] x\r\n",
    ]


def test_the_time_is_local() -> None:
    """Times are those of the server's own clock on the wall."""
    east = LineFormat(lambda at: time.gmtime(at + 3600))
    assert east(Said(GENERAL, ALICE, Text("x"), NOW)) == b"[alice (13:01:05)] x\r\n"
    assert LineFormat()(Said(GENERAL, ALICE, Text("x"), NOW)) == (
        f"[alice ({time.strftime('%H:%M:%S', time.localtime(NOW))})] x\r\n".encode()
    )


def test_history_of_another_day_shows_its_date() -> None:
    """What was said before midnight can't be taken for today's."""
    ages = (365 * DAY, DAY, 12 * 3600 + 66, 12 * 3600 + 65, 5)
    said = tuple(Said(GENERAL, ALICE, Text(f"{age:.0f}"), NOW - age) for age in ages)
    assert LineFormat(time.gmtime)(Recalled(said, NOW)).decode().splitlines() == [
        "[alice (2023-10-05 12:01:05)] 31536000",
        "[alice (2024-10-03 12:01:05)] 86400",
        "[alice (2024-10-03 23:59:59)] 43266",
        "[alice (00:00:00)] 43265",
        "[alice (12:01:00)] 5",
    ]


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: chat\r\n\r\n", "HTTP"),
        (b"POST /x?y=z HTTP/1.0\r\n", "HTTP"),
        (b"OPTIONS * HTTP/2", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
    ],
)
def test_a_stranger_is_told_what_this_port_is_for(data: bytes, answer: str) -> None:
    """A browser or an ssh client that came to the wrong port is told so, in one line."""
    assert stranger(data) == (
        f"This port is for chat by telnet or nc; it does not speak {answer}.\r\n".encode()
    )


def test_tls_is_not_answered() -> None:
    """A TLS client, which could not read it, is told nothing; its connection closes."""
    assert stranger(bytes.fromhex("16030100c8010000c40303")) == b""


@pytest.mark.parametrize(
    "data", [b"bob\r\n", b"\n", b"\xff\xfd\x03", b"GET lost\n", b"SSH\n", b"get / HTTP/1.1\n"]
)
def test_whoever_types_a_name_is_no_stranger(data: bytes) -> None:
    """A name may begin like a request of another protocol."""
    assert stranger(data) is None
