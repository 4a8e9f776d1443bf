"""Telnet commands: a table of (bytes, text, answers), each whole, byte by byte and with more."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.wire.framing import LineFramer, decode
from chatd.wire.telnet import (
    AYT,
    DO,
    DONT,
    EC,
    ECHO,
    EL,
    IAC,
    NAWS,
    SB,
    SE,
    SGA,
    TTYPE,
    WILL,
    WONT,
    TelnetFilter,
)
from tests.segments import segmented

NOP, IP, TIMING_MARK, LINEMODE = 241, 244, 6, 34


def iac(*codes: int) -> bytes:
    """A telnet command."""
    return bytes((IAC, *codes))


TABLE: list[tuple[bytes, bytes, bytes]] = [
    (b"", b"", b""),
    (b"hello\r\n", b"hello\r\n", b""),
    (iac(IAC), b"\xff", b""),
    (b"a" + iac(IAC) + iac(IAC) + b"b", b"a\xff\xffb", b""),
    (b"a" + iac(NOP) + b"b", b"ab", b""),
    (iac(IP) + iac(DO, TIMING_MARK), b"", iac(WONT, TIMING_MARK)),
    (b"hellp" + iac(EC) + b"o", b"hellp\bo", b""),
    (b"wrong" + iac(EL) + b"right", b"wrong\x15right", b""),
    (iac(AYT), b"", b"[yes]\r\n"),
    (b"a" + iac(DO, SGA) + b"b", b"ab", iac(WILL, SGA)),
    (iac(DO, SGA) * 3, b"", iac(WILL, SGA)),
    (iac(DO, SGA) + iac(DONT, SGA), b"", iac(WILL, SGA) + iac(WONT, SGA)),
    (iac(DONT, SGA), b"", b""),
    (iac(DO, LINEMODE), b"", iac(WONT, LINEMODE)),
    (iac(DONT, LINEMODE), b"", b""),
    (iac(DO, 255), b"", iac(WONT, 255)),
    (iac(WILL, NAWS) + iac(WILL, TTYPE), b"", iac(DO, NAWS) + iac(DO, TTYPE)),
    (iac(WILL, NAWS) * 2 + iac(WONT, NAWS) * 2, b"", iac(DO, NAWS) + iac(DONT, NAWS)),
    (iac(WILL, ECHO), b"", iac(DONT, ECHO)),
    (iac(WONT, ECHO), b"", b""),
    (iac(DO, ECHO), b"", iac(WONT, ECHO)),
    (iac(DONT, ECHO), b"", b""),
    (b"a" + iac(SB, NAWS, 0, 80, 0, 24) + iac(SE) + b"b", b"ab", b""),
    (iac(SB, NAWS, 0, IAC, IAC, 0, 24) + iac(SE) + b"b", b"b", b""),
    (iac(SB, NAWS, 0, IAC, IAC, SE, 0, 24) + iac(SE) + b"b", b"b", b""),
    (iac(SB, TTYPE) + b"x" * 2000 + iac(SE) + b"b", b"b", b""),
    (iac(SB, TTYPE) + b"x" * 2000 + iac(IAC) + b"\xf0" + b"x" * 9 + iac(SE) + b"b", b"b", b""),
    (iac(SB, TTYPE) + iac(NOP) * 2000 + iac(SE) + b"b", b"b", b""),
    (iac(SE) + b"b", b"b", b""),
]


def filtered(segments: list[bytes], telnet: TelnetFilter | None = None) -> tuple[bytes, bytes]:
    """The text and the answers for a stream that comes in these segments."""
    telnet = telnet or TelnetFilter()
    pairs = [telnet.feed(segment) for segment in segments]
    return b"".join(text for text, _ in pairs), b"".join(answers for _, answers in pairs)


@pytest.mark.parametrize(("data", "text", "answers"), TABLE)
def test_commands_are_taken_out_of_the_text(data: bytes, text: bytes, answers: bytes) -> None:
    """A telnet client's commands are answered where they must be, and never shown as text."""
    assert filtered([data]) == (text, answers)


@pytest.mark.parametrize(("data", "text", "answers"), TABLE)
def test_commands_may_come_byte_by_byte(data: bytes, text: bytes, answers: bytes) -> None:
    """A command that comes in several segments is still one."""
    assert filtered([bytes([byte]) for byte in data]) == (text, answers)


@pytest.mark.parametrize(("data", "text", "answers"), TABLE)
def test_what_follows_a_command_is_text(data: bytes, text: bytes, answers: bytes) -> None:
    """No command swallows the line after it."""
    assert filtered([data + b"more\r\n"]) == (text + b"more\r\n", answers)


def any_stream() -> st.SearchStrategy[bytes]:
    """Bytes that are mostly telnet commands, whole and broken."""
    codes = st.sampled_from([IAC, DO, DONT, WILL, WONT, SB, SE, AYT, EC, EL, ECHO, SGA, NAWS, 10])
    return st.lists(codes | st.integers(0, 255)).map(bytes)


@given(segmented(any_stream()))
def test_segments_make_no_difference(segments: list[bytes]) -> None:
    """However the network cuts them, the same commands are the same commands."""
    assert filtered(segments) == filtered([b"".join(segments)])


@given(any_stream())
def test_answers_are_no_more_than_the_questions(data: bytes) -> None:
    """No short command makes the server write, or keep, much."""
    text, answers = filtered([data])
    assert len(text) <= len(data)
    assert len(answers) <= 4 * len(data)


def test_erasing_a_line_again_and_again_fills_no_memory() -> None:
    """A client that erases its line a hundred times costs no more than the bytes it sends."""
    data = b"hello" * 20 + iac(EL) * 100
    text, answers = filtered([data])
    assert (len(text), answers) == (200, b"")


@given(st.lists(any_stream() | st.sampled_from(["hide", "show"])))
def test_two_servers_do_not_answer_each_other_for_ever(steps: list[bytes | str]) -> None:
    """Whatever was said before, two ends that only answer fall silent within a few turns."""
    one, other = TelnetFilter(), TelnetFilter()
    says = b""
    for step in steps:
        match step:
            case "hide":
                says += one.hide()
            case "show":
                says += one.show()
            case bytes():
                says += one.feed(step)[1]
    turns = 0
    while says:
        says = other.feed(says)[1]
        one, other = other, one
        turns += 1
    assert turns <= 6


@given(segmented(any_stream().map(lambda data: data.replace(b"\xff", b""))))
def test_a_client_without_telnet_sees_none(segments: list[bytes]) -> None:
    """An nc user is never sent a negotiation byte, not even around a password."""
    telnet = TelnetFilter()
    assert filtered(segments, telnet) == (b"".join(segments), b"")
    assert (telnet.speaks, telnet.hide(), telnet.hidden, telnet.show()) == (False, b"", False, b"")


def test_the_first_command_shows_a_telnet_client() -> None:
    """A client that sends one telnet command is treated as telnet from then on."""
    telnet = TelnetFilter()
    telnet.feed(iac())
    assert not telnet.speaks
    telnet.feed(bytes((NOP,)))
    assert telnet.speaks


def test_a_subnegotiation_without_end_fills_no_memory() -> None:
    """Sixteen megabytes of a command that never ends take no room."""
    telnet, segment = TelnetFilter(), b"x" * 65_536
    tracemalloc.start()
    text, answers = filtered([iac(SB, TTYPE), *[segment] * 256], telnet)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (text, answers) == (b"", b"")
    assert peak < 8 * len(segment)
    assert telnet.feed(iac(SE) + b"hello") == (b"hello", b"")


@given(segmented(st.just(b"wrong" + iac(EL) + "größe".encode() + iac(EC) + b"o\r\n")))
def test_erased_text_is_not_sent(segments: list[bytes]) -> None:
    """Telnet's erase character and erase line work on the line as typed, however it is sent."""
    telnet, framer = TelnetFilter(), LineFramer(100)
    for segment in segments:
        framer.push(telnet.feed(segment)[0])
    line = framer.take()
    assert line is not None
    assert decode(line) == "größo"


# Who shows what is typed. Each row: what we are asked to do, or hear from the client, and what we
# send; the last is whether the client hides what is typed, as far as it knows.

YES, NO = iac(DO, ECHO), iac(DONT, ECHO)
HIDE, SHOW = iac(WILL, ECHO), iac(WONT, ECHO)


@pytest.mark.parametrize(
    ("steps", "hidden"),
    [
        ([("hide", HIDE)], True),
        ([("hide", HIDE), ("hide", b"")], True),
        ([("hide", HIDE), (YES, b""), ("hide", b"")], True),
        ([("hide", HIDE), (YES, b""), (YES, b"")], True),
        ([("hide", HIDE), (YES, b""), ("show", SHOW)], False),
        ([("hide", HIDE), (YES, b""), ("show", SHOW), ("show", b""), (NO, b"")], False),
        ([("hide", HIDE), (NO, b"")], False),
        ([("hide", HIDE), (NO, b""), ("show", b"")], False),
        ([("hide", HIDE), (NO, b""), ("hide", HIDE), (YES, b"")], True),
        ([("hide", HIDE), (YES, b""), (NO, SHOW)], False),
        ([("show", b"")], False),
        # typed ahead: the answer to the first offer comes after the password
        ([("hide", HIDE), ("show", b""), (YES, SHOW), (NO, b"")], False),
        ([("hide", HIDE), ("show", b""), (NO, b"")], False),
        ([("hide", HIDE), ("show", b""), ("hide", b""), (YES, b"")], True),
        # asked again at once: the client still has to say that it shows what is typed
        ([("hide", HIDE), (YES, b""), ("show", SHOW), ("hide", b""), (NO, HIDE), (YES, b"")], True),
        (
            [("hide", HIDE), (YES, b""), ("show", SHOW), ("hide", b""), ("show", b""), (NO, b"")],
            False,
        ),
    ],
)
def test_a_password_is_hidden_and_the_rest_shown(
    steps: list[tuple[bytes | str, bytes]], hidden: bool
) -> None:
    """A telnet client is asked to hide what is typed, once, and to show it again, once."""
    telnet = TelnetFilter(speaks=True)
    for step, sent in steps:
        match step:
            case "hide":
                assert telnet.hide() == sent
            case "show":
                assert telnet.show() == sent
            case bytes():
                assert telnet.feed(step) == (b"", sent)
    assert telnet.hidden is hidden


class Terminal:
    """A telnet client as RFC 854 and 857 have it: it agrees to every offer, and acts on it."""

    def __init__(self) -> None:
        self.shows = True

    def hear(self, data: bytes) -> bytes:
        """Take what the server sends; return the answers."""
        answers = b""
        for at in range(0, len(data), 3):
            hide = data[at : at + 3] == HIDE
            if hide == self.shows:
                self.shows = not hide
                answers += YES if hide else NO
        return answers


@given(st.lists(st.sampled_from(["hide", "show", "to us", "to the client"])))
def test_in_the_end_both_agree_who_shows_what_is_typed(steps: list[str]) -> None:
    """However slow the network is, once everything has arrived a password is hidden."""
    telnet, terminal = TelnetFilter(speaks=True), Terminal()
    to_client, to_us, wanted = b"", b"", "show"
    for step in [*steps, *["to the client", "to us"] * 3]:
        match step:
            case "hide":
                wanted, to_client = step, to_client + telnet.hide()
            case "show":
                wanted, to_client = step, to_client + telnet.show()
            case "to us":
                to_client, to_us = to_client + telnet.feed(to_us)[1], b""
            case _:
                to_us, to_client = to_us + terminal.hear(to_client), b""
    assert terminal.shows is (wanted == "show")
