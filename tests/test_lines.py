"""What telnet and nc users are shown for each event, word by word (PRODUCT.md, 2 to 4)."""

import time
from typing import cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.domain.errors import BadName
from chatd.domain.events import (
    ASK_NAME,
    Announced,
    Broadcasted,
    ChannelRow,
    ChannelsListed,
    Detached,
    Dropped,
    Ended,
    Event,
    Farewell,
    Greeted,
    Invited,
    Joined,
    Left,
    Mailed,
    MailWanted,
    Messaged,
    MessageSent,
    Muted,
    Place,
    Queued,
    Recalled,
    Refused,
    Said,
    Seen,
    TicketGiven,
    Told,
    Tuned,
    Untuned,
    Watched,
    Way,
    Welcomed,
    WentAfk,
    Whispered,
    WhisperSent,
)
from chatd.domain.filenames import FileName
from chatd.domain.names import (
    EVERYONE,
    RESERVED,
    SERVER,
    WATCHERS,
    ChannelName,
    GroupName,
    Key,
    Name,
    check_free,
    group_room,
    inbox_room,
    read_group_name,
    read_name,
)
from chatd.domain.text import Text, clean
from chatd.wire.lines import LineFormat, stranger

GENERAL, WORK = ChannelName("general"), ChannelName("work")
ALICE, BOB = Name("alice"), Name("bob")
TEAM, INBOX = group_room(GroupName("team")), inbox_room(Key("bob"))
DAY = 86_400.0
NOW = 20_000 * DAY + 12 * 3600 + 60 + 5.75
"""2024-10-04 12:01:05 UTC, and a bit."""

NOTICES: list[tuple[Event, str]] = [
    (Joined(GENERAL, BOB, NOW), "bob has joined the channel."),
    (Left(GENERAL, BOB, NOW), "bob has left the channel."),
    (Joined(TEAM, BOB, NOW), "bob has joined the group team."),
    (Left(TEAM, BOB, NOW), "bob has left the group team."),
    (
        Announced(TEAM, "bob has requested to join the group team.", NOW),
        "bob has requested to join the group team.",
    ),
    (Said(INBOX, SERVER, Text("You are in."), NOW), "You are in."),
    (WentAfk(GENERAL, BOB, NOW), "bob went AFK."),
    (Muted(GENERAL, BOB, 30, NOW), "bob has been muted for 30 seconds."),
    (Muted(GENERAL, BOB, 1, NOW), "bob has been muted for 1 second."),
    (Announced(EVERYONE, "New disk.", NOW), "New disk."),
    (
        Watched(WATCHERS, Seen.LOGIN, "bob", "from 10.0.0.1 by line", NOW),
        "login: bob, from 10.0.0.1 by line",
    ),
    (Watched(WATCHERS, Seen.LOGOUT, "bob", "", NOW), "logout: bob"),
    (
        Watched(WATCHERS, Seen.REFUSAL, "10.0.0.1", "wrong_password at line", NOW),
        "refusal: 10.0.0.1, wrong_password at line",
    ),
    (Watched(WATCHERS, Seen.ACT, "olga", "kick bob done", NOW), "act: olga, kick bob done"),
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

TICKET = "0123456789abcdef" * 2
PUT = TicketGiven(
    way=Way.PUT,
    number=3,
    ticket=TICKET,
    name=FileName("my notes.pdf"),
    path="~/my notes.pdf",
    size=1536,
    sha256="",
    other="the group team",
    done=0,
    places=(Place("10.0.0.1", 5080, tls=False),),
    seconds=3600,
    at=NOW,
)
GET = attrs.evolve(PUT, way=Way.GET, sha256="ab" * 32, other="alice")

LINES: list[tuple[Event, list[str]]] = [
    (
        PUT,
        [
            "[Server message (12:01:05)] To send file 3, my notes.pdf (1.5 KiB), to the group "
            "team, within 60 minutes paste one of these into a shell:",
            f"    (echo PUT {TICKET} $(wc -c <~/'my notes.pdf'); cat <~/'my notes.pdf') "
            "| nc 10.0.0.1 5080",
            f"    curl -g -T ~/'my notes.pdf' http://10.0.0.1:5080/{TICKET}",
        ],
    ),
    (
        attrs.evolve(PUT, size=None, seconds=90, places=(Place("::1", 443, tls=True),)),
        [
            "[Server message (12:01:05)] To send file 3, my notes.pdf, to the group team, within "
            "1 minute 30 seconds paste one of these into a shell:",
            f"    curl -g -T ~/'my notes.pdf' https://[::1]:443/{TICKET}",
        ],
    ),
    (
        GET,
        [
            "[Server message (12:01:05)] alice has sent you file 3, my notes.pdf (1.5 KiB), "
            f"sha256 {'ab' * 32}.",
            "[Server message (12:01:05)] To fetch it, within 60 minutes paste one of these into a "
            "shell:",
            f"    echo GET {TICKET} | nc 10.0.0.1 5080 > 'my notes.pdf'",
            f"    curl -gf -o 'my notes.pdf' http://10.0.0.1:5080/{TICKET}",
        ],
    ),
    (Said(GENERAL, ALICE, Text("hello"), NOW), ["[alice (12:01:05)] hello"]),
    (Said(GENERAL, ALICE, Text("été \N{SNOWMAN}"), NOW), ["[alice (12:01:05)] été \N{SNOWMAN}"]),
    (Said(TEAM, ALICE, Text("hello"), NOW, 7), ["[alice @team (12:01:05)] hello"]),
    (Said(INBOX, ALICE, Text("hi"), NOW, 7), ["[alice to you (12:01:05)] hi"]),
    (Messaged(ALICE, Text("hi"), NOW), ["[alice to you (12:01:05)] hi"]),
    (MessageSent(BOB, Text("hi"), NOW), ["[you to bob (12:01:05)] hi"]),
    (Broadcasted(EVERYONE, ALICE, Text("hi"), NOW), ["[alice to all (12:01:05)] hi"]),
    (Mailed((), NOW), []),
    (Tuned(TEAM), []),
    (Untuned(WATCHERS), []),
    (Detached(), []),
    (MailWanted(Key("bob")), []),
    (Ended(TEAM), []),
    (Whispered(ALICE, Text("psst"), NOW), ["[alice whispers to you: (12:01:05)] psst"]),
    (WhisperSent(BOB, Text("psst"), NOW), ["[you whisper to bob: (12:01:05)] psst"]),
    (
        Told(("one", "two"), NOW),
        ["[Server message (12:01:05)] one", "[Server message (12:01:05)] two"],
    ),
    (
        Refused("bad_configuration", "chatd.toml:1: bad\nNothing was changed.", NOW),
        [
            "[Server message (12:01:05)] chatd.toml:1: bad",
            "[Server message (12:01:05)] Nothing was changed.",
        ],
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


def test_mail_of_another_day_shows_its_date() -> None:
    """Mail keeps the date of each line, in the words of the place it was said in."""
    ages = (365 * DAY, 12 * 3600 + 66, 12 * 3600 + 65)
    for room, author, shown in (
        (INBOX, ALICE, "alice to you"),
        (INBOX, SERVER, "Server message"),
        (TEAM, ALICE, "alice @team"),
        (GENERAL, ALICE, "alice"),
    ):
        said = tuple(Said(room, author, Text("hi"), NOW - age) for age in ages)
        assert LineFormat(time.gmtime)(Mailed(said, NOW)).decode() == (
            f"[{shown} (2023-10-05 12:01:05)] hi\r\n"
            f"[{shown} (2024-10-03 23:59:59)] hi\r\n"
            f"[{shown} (00:00:00)] hi\r\n"
        )


TYPED = st.text() | st.text(st.sampled_from("\r\n\x0b\x0c\x1c\x1e\x85\u2028\u2029\x1b\u202e]["))
LOOKALIKES = ["alice", "alice to all", "alice to you", "you to bob", "Server message"]


@given(text=st.sampled_from([f"\r\n[{who} (12:01:05)] x" for who in LOOKALIKES]) | TYPED)
def test_no_text_can_look_like_another_line(text: str) -> None:
    """Whatever somebody types is shown as one line that begins with who said it, and where."""
    typed = clean(text)
    said: list[tuple[Event, str]] = [
        (Said(GENERAL, BOB, typed, NOW), "[bob (12:01:05)] "),
        (Said(TEAM, BOB, typed, NOW), "[bob @team (12:01:05)] "),
        (Said(INBOX, BOB, typed, NOW), "[bob to you (12:01:05)] "),
        (Mailed((Said(INBOX, BOB, typed, NOW),), NOW), "[bob to you (12:01:05)] "),
        (Messaged(BOB, typed, NOW), "[bob to you (12:01:05)] "),
        (MessageSent(BOB, typed, NOW), "[you to bob (12:01:05)] "),
        (Broadcasted(EVERYONE, BOB, typed, NOW), "[bob to all (12:01:05)] "),
    ]
    for event, start in said:
        (line,) = LineFormat(time.gmtime)(event).decode().splitlines()
        assert line == f"{start}{typed}"


@pytest.mark.parametrize("who", [*LOOKALIKES[1:], "@team", "alice @team", "server", "you", "all"])
def test_no_name_can_look_like_the_start_of_another_line(who: str) -> None:
    """Nobody can have a name that reads like the words of a line, or like a group."""
    with pytest.raises(BadName):
        check_free(read_name(who), RESERVED)


@pytest.mark.parametrize("group", ["team (12:01:05)] x [bob", "to you", "@team", "te\nam", "te]am"])
def test_no_group_can_look_like_another_line(group: str) -> None:
    """A group's name is one word, without a sign that a line is made of."""
    with pytest.raises(BadName):
        read_group_name(group)


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
