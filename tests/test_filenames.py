"""What files are called: whatever somebody names, what others read of it is harmless."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatd.domain.errors import BadFileName
from chatd.domain.filenames import FileName, read_file_name
from chatd.domain.text import clean

LONGEST = 200
RESERVED = {
    *("con", "prn", "aux", "nul", "conin$", "conout$"),
    *(f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"),
}


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("notes.pdf", "notes.pdf"),
        ("my notes  of   today.pdf", "my notes of today.pdf"),
        ("../../etc/passwd", "passwd"),
        ("/home/bob/notes.pdf", "notes.pdf"),
        ("~/notes.pdf", "notes.pdf"),
        ("C:\\Users\\bob\\notes.pdf", "notes.pdf"),
        ("notes/", "notes"),
        ("a\\b/c", "c"),
        ("c:notes.pdf", "c_notes.pdf"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("com1.txt", "_com1.txt"),
        ("COM¹", "_COM¹"),
        ("Lpt9.tar.gz", "_Lpt9.tar.gz"),
        ("nul .txt", "_nul .txt"),
        ("CONOUT$", "_CONOUT$"),
        ("com10.txt", "com10.txt"),
        ("console", "console"),
        ("a\x1b[2Jb.txt", "a[2Jb.txt"),
        ("a\x00b\nc\td\x7f\x9b.txt", "abc d.txt"),
        ("\u202eexe.حساب\u202c\u2066.pdf\u2069", "exe.حساب.pdf"),
        ("تقرير\u200e نهائي.pdf", "تقرير نهائي.pdf"),
        ("کتاب\u200cخانه.pdf", "کتابخانه.pdf"),  # noqa: RUF001 (Persian)
        ("ünïcödé 漢字.txt", "ünïcödé 漢字.txt"),
        ("\N{PILE OF POO}.png", "\N{PILE OF POO}.png"),
        ("\ud800a.txt", "a.txt"),
        (".bashrc", "bashrc"),
        ("...hidden", "hidden"),
        ("-rf", "rf"),
        ("--output=x", "output=x"),
        (". - .x", "x"),
        ("trailing. . .", "trailing"),
        ('it\'s "quoted".txt', "it's _quoted_.txt"),
        ("$(reboot);`id`&.sh", "$(reboot);`id`&.sh"),
        ('a<b>c:d"e|f?g*h', "a_b_c_d_e_f_g_h"),
        ("a\u00a0b\u3000c", "a b c"),
        ("a" + "\u0301" * 9, "a" + "\u0301" * 4),
        ("a" + "\u0301\u0301\u0301\x01" * 9, "a" + "\u0301" * 4),
    ],
)
def test_name(typed: str, name: str) -> None:
    """A file is called as its sender calls it, without what could do harm."""
    assert read_file_name(typed) == name


@pytest.mark.parametrize(
    "typed",
    ["", " ", ".", "..", "../..", "/", "\\", "a/..", "---", "\x1b", "\u202e", ". -", "\u200d"],
)
def test_no_name(typed: str) -> None:
    """What is only a path, or only what is taken out, is no name of a file."""
    with pytest.raises(BadFileName) as caught:
        read_file_name(typed)
    assert str(caught.value) == f"{clean(typed) or 'Nothing'} is not a file name."


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("x" * 300, "x" * 200),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("x" * 200, "x" * 200),
        ("x" * 197 + ".pdf", "x" * 196 + ".pdf"),
        ("x." + "y" * 300, "x." + "y" * 198),
        ("é" * 150 + ".txt", "é" * 98 + ".txt"),
        ("漢" * 100, "漢" * 66),
        ("x" * 194 + ". . ." + "y" * 30 + ".txt", "x" * 194 + ".txt"),
        ("x" * 199 + " y", "x" * 199),
    ],
)
def test_long_name(typed: str, name: str) -> None:
    """A name too long for a disk is cut, between its characters, and keeps its ending."""
    assert read_file_name(typed) == name


@given(
    st.text(st.characters() | st.sampled_from("/\\.- \u202e\x1b\u0301\u200d\ud800:?"), max_size=300)
)
@example("con" + "\u202e" + ".txt")
@example("\u202econ")
@example("a" * 198 + "\u0301\u0301")
@example("- \u0301\u0301\u0301\u0301\u0301")
def test_any_name(typed: str) -> None:
    """Whatever is typed, its name is harmless, short, and the same when it is read again."""
    try:
        name = read_file_name(typed)
    except BadFileName:
        return
    assert name
    assert len(name.encode()) <= LONGEST
    assert not set(name) & set('/\\<>:"|?*\x00\N{REPLACEMENT CHARACTER}')
    assert [clean(name), " ".join(name.split())] == [name, name]
    assert name[0] not in ".-"
    assert name[-1] not in "."
    assert name.partition(".")[0].rstrip().casefold() not in RESERVED
    assert read_file_name(name) == name
    assert read_file_name(f"/tmp/{name}") == FileName(name)
