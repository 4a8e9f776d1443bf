"""Bytes to lines: a table of (bytes, lines), each whole, byte by byte and with trailing data."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.domain.ports import Mark
from chatd.wire.framing import LineFramer, decode
from tests.segments import segmented

Lines = list[bytes | Mark]

TABLE: list[tuple[bytes, Lines]] = [
    (b"hello\n", [b"hello"]),
    (b"hello\r\n", [b"hello"]),
    (b"hello\r\0", [b"hello"]),
    (b"\n", [b""]),
    (b"\r\n", [b""]),
    (b"one\ntwo\r\nthree\r\0", [b"one", b"two", b"three"]),
    (b"a\rb\n", [b"a\rb"]),
    (b"a\0b\n", [b"a\0b"]),
    (b"\r\r\n", [b"\r"]),
    (b"\r\0\n", [b"", b""]),
    (b"12345678\n", [b"12345678"]),
    (b"12345678\r\n", [b"12345678"]),
    (b"12345678\r\0", [b"12345678"]),
    (b"123456789\n", [Mark.TOO_LONG]),
    (b"123456789\r\n", [Mark.TOO_LONG]),
    (b"123456789\r\0", [Mark.TOO_LONG]),
    (b"12345678\r\r\n", [Mark.TOO_LONG]),
    (b"x" * 1000 + b"\nshort\n", [Mark.TOO_LONG, b"short"]),
    (b"x" * 1000 + b"\r\0short\r\0", [Mark.TOO_LONG, b"short"]),
    (b"ok\n" + b"x" * 9 + b"\n" + b"y" * 99 + b"\nok\n", [b"ok", *[Mark.TOO_LONG] * 2, b"ok"]),
]
"""With a limit of 8 bytes a line."""

EIGHT = 8


def take_all(framer: LineFramer) -> Lines:
    """What a framer has to give for now."""
    lines: Lines = []
    while (line := framer.take()) is not None:
        lines.append(line)
    return lines


def lines_of(segments: list[bytes], limit: int = EIGHT) -> Lines:
    """The lines in a stream that comes in these segments, and what stands after the last end."""
    framer, lines = LineFramer(limit), Lines()
    for segment in segments:
        framer.push(segment)
        lines += take_all(framer)
    rest = framer.finish()
    assert framer.take() is None
    return lines if rest is None else [*lines, rest]


@pytest.mark.parametrize(("data", "lines"), TABLE)
def test_lines_come_out_of_one_segment(data: bytes, lines: Lines) -> None:
    """However a line ends, it is read, and one that is too long is refused once."""
    assert lines_of([data]) == lines


@pytest.mark.parametrize(("data", "lines"), TABLE)
def test_lines_come_out_byte_by_byte(data: bytes, lines: Lines) -> None:
    """Somebody whose terminal sends every key by itself is read like everybody else."""
    assert lines_of([bytes([byte]) for byte in data]) == lines


@pytest.mark.parametrize(("data", "lines"), TABLE)
def test_an_unfinished_line_follows_the_others(data: bytes, lines: Lines) -> None:
    """What comes after the last line's end is kept, and is a line where the client then stops."""
    assert lines_of([data + b"rest"]) == [*lines, b"rest"]


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        (b"", []),
        (b"\r", []),
        (b"12345678", [b"12345678"]),
        (b"12345678\r", [b"12345678"]),
        (b"123456789", [Mark.TOO_LONG]),
        (b"123456789\r", [Mark.TOO_LONG]),
        (b"x" * 100, [Mark.TOO_LONG]),
    ],
)
def test_the_last_line_needs_no_end(rest: bytes, line: Lines) -> None:
    """`printf hello | nc` says hello; a last line that is too long is refused like any other."""
    assert lines_of([b"first\n", rest]) == [b"first", *line]
    assert lines_of([b"first\n" + rest]) == [b"first", *line]


def test_without_a_limit_a_line_may_be_of_any_length() -> None:
    """An operator who sets line_bytes to 0 gets lines of every length."""
    assert lines_of([b"x" * 100_000, b"y\n", b"z" * 10], 0) == [b"x" * 100_000 + b"y", b"z" * 10]


def test_lines_that_came_together_can_be_taken_one_by_one() -> None:
    """What waits while a password is checked is still there afterwards, and what came since."""
    framer = LineFramer(EIGHT)
    framer.push(b"one\ntwo\nth")
    assert framer.take() == b"one"
    framer.push(b"ree\nfour")
    assert take_all(framer) == [b"two", b"three"]
    assert framer.finish() == b"four"
    assert framer.finish() is None


@given(segmented(st.lists(st.sampled_from([b"\r", b"\n", b"\0", b"abc", b"x" * 9])).map(b"".join)))
def test_segments_make_no_difference(segments: list[bytes]) -> None:
    """However the network cuts what somebody sends, the same lines arrive."""
    assert lines_of(segments) == lines_of([b"".join(segments)])


@given(st.lists(st.binary(max_size=20).map(lambda line: line.translate(None, b"\r\n\0"))))
def test_what_is_sent_arrives(sent: list[bytes]) -> None:
    """Every line arrives in its place, and one that is too long leaves its mark there."""
    marked = [line if len(line) <= EIGHT else Mark.TOO_LONG for line in sent]
    assert lines_of([b"".join(line + b"\n" for line in sent)]) == marked


def test_a_line_without_end_fills_no_memory() -> None:
    """Sixteen megabytes without a line's end are refused once, and take no room."""
    framer, segment, lines = LineFramer(4096), b"x" * 65_536, Lines()
    tracemalloc.start()
    for _ in range(256):
        framer.push(segment)
        lines += take_all(framer)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines == [Mark.TOO_LONG]
    assert peak < 4 * len(segment)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"hello", "hello"),
        (b"", ""),
        ("Grüße \N{GRINNING FACE}".encode(), "Grüße \N{GRINNING FACE}"),
        ("Grüße".encode("latin-1"), "Grüße"),
        (b"\xff\xfe", "ÿþ"),
        (b"\xed\xa0\x80", "í\xa0\x80"),
        (b"helk\blo", "hello"),
        (b"helk\x7flo", "hello"),
        (b"\b\b\bhello\b\b\b\b\b\bho", "ho"),
        ("hé\bello".encode(), "hello"),
        (b"wrong\x15right", "right"),
        (b"a\x15b\x15\x7f\x7fc", "c"),
        (b"gone\x15", ""),
    ],
)
def test_a_line_is_read_as_text(line: bytes, text: str) -> None:
    """UTF-8 is understood, Latin-1 where it isn't that, and what was erased is not sent."""
    assert decode(line) == text


@pytest.mark.parametrize("mark", list(Mark))
def test_a_mark_stays_a_mark(mark: Mark) -> None:
    """A line that was skipped has no text."""
    assert decode(mark) is mark


@given(segmented(st.text(st.characters(blacklist_categories=["Cc", "Cs"])).map(str.encode)))
def test_utf_8_may_be_cut_anywhere(segments: list[bytes]) -> None:
    """A character that comes in two segments is read whole."""
    whole = b"".join(segments)
    [line] = lines_of([*segments, b"\n"], 0)
    assert decode(line) == whole.decode()
