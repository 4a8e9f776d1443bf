"""The headers of HTTP that files need."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.domain.errors import BadFileName, WrongOffset, WrongSize
from chatd.domain.filenames import FileName, read_file_name
from chatd.wire.webheaders import digest, disposition, sent_part, wanted_part


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-99", (0, 100)),
        ("bytes=100-", (100, 1000)),
        ("bytes=999-999", (999, 1000)),
        ("bytes=990-2000", (990, 1000)),
        ("bytes=-10", (990, 1000)),
        ("bytes=-2000", (0, 1000)),
        (" Bytes = 1 - 2 ", (1, 3)),
        # what is no range is passed over, and so are several at once
        ("", None),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("lines=1-2", None),
        ("bytes=a-b", None),
        ("bytes=1", None),
        ("bytes=٣-", None),
        (f"bytes={'9' * 5000}-", None),
    ],
)
def test_wanted_part(header: str, part: tuple[int, int] | None) -> None:
    """A client may want one part of a file; anything else gets it whole."""
    assert wanted_part(header, 1000) == part


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=1000-", 1000), ("bytes=-0", 1000), ("bytes=0-", 0)]
)
def test_wanted_part_behind_the_end(header: str, size: int) -> None:
    """A part with no byte of the file can't be had."""
    with pytest.raises(WrongOffset) as caught:
        wanted_part(header, size)
    assert caught.value.offset == size


@given(st.text(alphabet="bytes=-,0123456789 ٣", max_size=20), st.integers(0, 50))
def test_wanted_part_of_anything(header: str, size: int) -> None:
    """Whatever a client asks for, it gets bytes that are there, or a polite no."""
    try:
        part = wanted_part(header, size)
    except WrongOffset:
        return
    assert part is None or 0 <= part[0] < part[1] <= size


@pytest.mark.parametrize(
    ("header", "length", "part"),
    [
        ("bytes 100-999/1000", 900, (100, 1000)),
        ("bytes 100-999/1000", None, (100, 1000)),
        ("Bytes  0-0/1", 1, (0, 1)),
    ],
)
def test_sent_part(header: str, length: int | None, part: tuple[int, int]) -> None:
    """An upload goes on from where its Content-Range says."""
    assert sent_part(header, length) == part


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ("bytes 100-899/1000", 800),
        ("bytes 100-999/*", 900),
        ("bytes */1000", 0),
        ("bytes 100-99/100", None),
        ("bytes 100-98/99", None),
        ("bytes 0-0/0", 0),
        ("100-999/1000", 900),
        (f"bytes {'9' * 5000}-1/2", None),
    ],
)
def test_sent_part_that_is_none(header: str, length: int | None) -> None:
    """A part that doesn't go to the end of the file is refused, and so is what is no part."""
    with pytest.raises(WrongSize, match="Content-Range is bytes START-END/SIZE"):
        sent_part(header, length)


def test_sent_part_of_another_length() -> None:
    """A part is as long as it says."""
    with pytest.raises(WrongSize, match=r"From byte 100 on there are 900, not 899\."):
        sent_part("bytes 100-999/1000", 899)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        (
            "my notes.pdf",
            "attachment; filename=\"my notes.pdf\"; filename*=UTF-8''my%20notes.pdf",
        ),
        ("Größe.txt", "attachment; filename=\"Gro_e.txt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.txt"),
        (
            "ملف.pdf",
            "attachment; filename=\"file_.pdf\"; filename*=UTF-8''%D9%85%D9%84%D9%81.pdf",
        ),
        ("文件", "attachment; filename=\"file_\"; filename*=UTF-8''%E6%96%87%E4%BB%B6"),
        (
            "a\"b\\c%41;'.txt",
            "attachment; filename=\"a_b_c_41;'.txt\"; filename*=UTF-8''a%22b%5Cc%2541%3B%27.txt",
        ),
    ],
)
def test_disposition(name: str, header: str) -> None:
    """A file is saved under its name by whoever knows UTF-8, and under a plain one by others."""
    assert disposition(FileName(name)) == header


@given(st.text())
def test_disposition_of_anything(text: str) -> None:
    """Whatever a file is called, the header is one line of ASCII, and has the name in it."""
    try:
        name = read_file_name(text)
    except BadFileName:
        return
    header = disposition(name)
    found = re.fullmatch(
        r"attachment; filename=\"([ !#-\[\]-~]+)\"; filename\*=UTF-8''([\w!#$&+.^`|~%-]+)",
        header,
        re.ASCII,
    )
    assert found is not None
    assert unquote(found[2]) == name


def test_digest() -> None:
    """A hash is told in the form of RFC 9530."""
    sha256 = "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447"
    assert digest(sha256) == "sha-256=:qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=:"
