"""Text hygiene: nothing that a user sends can harm a reader's terminal."""

# ruff: noqa: RUF001  # letters of many scripts are meant

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.domain.text import clean, erase, plural, size_of, spell

ACUTE = "\N{COMBINING ACUTE ACCENT}"
ZWJ = "\N{ZERO WIDTH JOINER}"
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("", ""),
        ("hello, world", "hello, world"),
        ("Grüße, 世界 😀", "Grüße, 世界 😀"),
        ("a\tb", "a    b"),
        ("\x1b[2Jgone", "\ufffd[2Jgone"),
        ("ring\a", "ring\ufffd"),
        ("two\r\nlines", "two\ufffd\ufffdlines"),
        ("\x00\x7f\x9b", "\ufffd\ufffd\ufffd"),
        ("evil\u202etxt.exe", "evil\ufffdtxt.exe"),
        ("para\u2029line\u2028", "para\ufffdline\ufffd"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        (f"👩{ZWJ}👩{ZWJ}👧", f"👩{ZWJ}👩{ZWJ}👧"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a" + ACUTE * 4, "a" + ACUTE * 4),
        ("a" + ACUTE * 99 + "b" + ACUTE, "a" + ACUTE * 4 + "b" + ACUTE),
        ("a" + (ACUTE * 4 + ZWJ) * 2, "a" + ACUTE * 4 + ZWJ * 2),
    ],
)
def test_clean(typed: str, shown: str) -> None:
    """Letters of every language stay; what could move a cursor or hide text is replaced."""
    assert clean(typed) == shown


@given(st.text())
def test_clean_holds_for_any_text(typed: str) -> None:
    """No control, direction or pile of marks is left, and cleaning again changes nothing."""
    shown = clean(typed)
    assert clean(shown) == shown
    assert not set(shown) & set(BIDI)
    categories = [unicodedata.category(character) for character in shown.replace(ZWJ, "")]
    assert not set(categories) & {"Cc", "Cs", "Zl", "Zp"}
    assert ["Mn"] * 5 not in [categories[at : at + 5] for at in range(len(categories))]
    shown.encode()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("hello", "hello"),
        ("helo\blo", "hello"),
        ("helo\x7flo", "hello"),
        ("oops\b\b\b\bhi", "hi"),
        ("\b\b\bhi", "hi"),
        ("hi\b\b\b", ""),
    ],
)
def test_erase(typed: str, meant: str) -> None:
    """A backspace takes the character before it away, if there is one."""
    assert erase(typed) == meant


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 tries"), (1, "1 try"), (2, "2 tries"), (100, "100 tries")]
)
def test_plural(count: int, shown: str) -> None:
    """A count stands with the right form of its noun."""
    assert plural(count, "try", "tries") == shown


def test_plural_with_an_s() -> None:
    """Most nouns only take an s."""
    assert (plural(1, "line"), plural(2, "line")) == ("1 line", "2 lines")


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1024.0 KiB"),
        (1024**2, "1.0 MiB"),
        (4 * 1024**3, "4.0 GiB"),
        (1024**4, "1.0 TiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_size_of(count: int, shown: str) -> None:
    """A number of bytes is told in the largest unit of which there is one."""
    assert size_of(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 seconds"),
        (0.2, "1 second"),
        (30, "30 seconds"),
        (60, "60 seconds"),
        (60.5, "1 minute 1 second"),
        (90, "1 minute 30 seconds"),
        (120, "2 minutes"),
        (3600, "60 minutes"),
        (3600.5, "1 hour 1 minute"),
        (5400, "1 hour 30 minutes"),
        (7199, "2 hours"),
        (86_400, "24 hours"),
        (86_401, "1 day 1 hour"),
        (7 * 86_400 - 1, "7 days"),
        (14 * 86_400, "14 days"),
    ],
)
def test_spell(seconds: float, shown: str) -> None:
    """A time is told in two units at most, and never as shorter than it is."""
    assert spell(seconds) == shown
