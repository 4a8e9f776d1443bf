"""Names: what may be one, which are the same, which look the same."""

# ruff: noqa: RUF001  # letters that look alike are what this is about

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.commands import TABLE
from chatd.domain.errors import BadName
from chatd.domain.names import (
    LONGEST,
    RESERVED,
    Key,
    Name,
    check_free,
    key_of,
    read_channel_name,
    read_name,
    skeleton_of,
)
from chatd.domain.text import clean

LENGTH = "A name has 1 to 32 characters."
LETTER = "A name begins with a letter."
CHARACTERS = "A name is made of letters, digits, '_', '-' and '.' only."
PLAIN = "A name is made of plain letters and digits only."
SCRIPT = "A name keeps to the letters of one script."
MARKS = "A name has too many marks on one letter."

LETTERS = st.characters(categories=["L", "M", "Nd"], include_characters="_-.")
TYPED = st.text(max_size=LONGEST + 2) | st.text(LETTERS, min_size=1, max_size=8)


@pytest.mark.parametrize(
    "typed",
    [
        "a",
        "bob",
        "Bob",
        "bob_2-x.y",
        "x" * 32,
        "Jürgen",
        "Οδυσσέας",
        "Дмитрий",
        "דוד",
        "太郎",
        "ひろカナ漢",  # Japanese is written in three scripts at once
        "김철수",
        "हिन्दी",  # vowels that are marks of their own
        "กี",
        "Nguyễn",
    ],
)
def test_names_of_many_languages(typed: str) -> None:
    """A name of letters of one language, as people write it, is taken as it stands."""
    assert read_name(typed) == typed


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", LENGTH),
        ("x" * 33, LENGTH),
        ("2bob", LETTER),
        ("_bob", LETTER),
        (".", LETTER),
        ("-", LETTER),
        ("\N{COMBINING ACUTE ACCENT}bob", LETTER),
        ("\N{HALFWIDTH KATAKANA VOICED SOUND MARK}a", LETTER),
        ("bob smith", CHARACTERS),
        ("bob@example.org", CHARACTERS),
        ("bob/", CHARACTERS),
        ("bob\0", CHARACTERS),
        ("bob\x1b[31m", CHARACTERS),
        ("bob\N{RIGHT-TO-LEFT OVERRIDE}", CHARACTERS),
        ("bob\N{ZERO WIDTH SPACE}", CHARACTERS),
        ("bob\ud800", CHARACTERS),
        ("bob\N{PILE OF POO}", CHARACTERS),
        ("a" + "\N{COMBINING ACUTE ACCENT}" * 5, MARKS),
        ("a" + "\N{COMBINING ACUTE ACCENT}" * 31, MARKS),
        ("bob\N{SUPERSCRIPT TWO}", PLAIN),
        ("\N{LATIN SMALL LIGATURE FI}", PLAIN),
        ("bob\N{HEBREW LETTER ALEF}", PLAIN),  # left to right and right to left at once
        ("b\N{CYRILLIC SMALL LETTER O}b", SCRIPT),
        ("太a", SCRIPT),
        ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}" * 32, LENGTH),  # twice as long when folded
    ],
)
def test_no_names(typed: str, why: str) -> None:
    """What can't be a name is refused with the reason."""
    with pytest.raises(BadName) as refused:
        read_name(typed)
    assert str(refused.value) == why


def test_width_does_not_matter() -> None:
    """Full-width letters, as an East Asian keyboard types them, are plain letters."""
    assert read_name("\N{FULLWIDTH LATIN CAPITAL LETTER B}ob") == "Bob"


@pytest.mark.parametrize("name", ["general", "2nd-floor", "42", "Straße"])
def test_channel_names(name: str) -> None:
    """A channel's name may begin with a digit."""
    assert read_channel_name(name) == name


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "A channel's name has 1 to 32 characters."),
        ("#general", "A channel's name begins with a letter."),
        ("a b", "A channel's name is made of letters, digits, '_', '-' and '.' only."),
    ],
)
def test_no_channel_names(typed: str, why: str) -> None:
    """What is wrong with a channel's name is said of a channel's name."""
    with pytest.raises(BadName) as refused:
        read_channel_name(typed)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Bob", "bOB", True),
        ("JÜRGEN", "jürgen", True),
        ("Ju\N{COMBINING DIAERESIS}rgen", "Jürgen", True),
        ("ＢＯＢ", "bob", True),
        ("bob", "rob", False),
        ("jurgen", "jürgen", False),
        ("bob", "bob.", False),
    ],
)
def test_same_name(one: str, other: str, same: bool) -> None:
    """Case, width and how an accent is typed don't make another name; a letter does."""
    assert (key_of(read_name(one)) == key_of(read_name(other))) is same


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("paypal", "paypaI", True),  # a capital I
        ("paypal", "PayPal", True),
        ("rnike", "mike", True),
        ("bob", "b0b", True),
        ("bob", "rob", False),
    ],
)
def test_look_alike(one: str, other: str, alike: bool) -> None:
    """Names that people would take for each other look alike to the server too."""
    assert (skeleton_of(read_name(one)) == skeleton_of(read_name(other))) is alike


@pytest.mark.parametrize("word", ["Server", "CHANNEL", "you", "whisper", "Login"])
def test_reserved(word: str) -> None:
    """Nobody can be called like a part of the server or a command, in any case."""
    reserved = RESERVED | {Key(one) for one in TABLE.words}
    with pytest.raises(BadName) as refused:
        check_free(read_name(word), reserved)
    assert str(refused.value) == f"{word} is a reserved word, please choose another name."


def test_free() -> None:
    """Any other name is free."""
    check_free(read_name("servera"), RESERVED)


@given(TYPED)
def test_whatever_is_typed(typed: str) -> None:
    """Whatever somebody types is a harmless name with a stable key, or is refused politely."""
    for read in (read_name, read_channel_name):
        try:
            name = read(typed)
        except BadName:
            continue
        assert 1 <= len(name) <= LONGEST
        assert not any(character.isspace() for character in name)
        assert read(name) == name
        assert str(clean(name)) == name
        assert key_of(read(key_of(name))) == key_of(Name(key_of(name))) == key_of(name)
        assert skeleton_of(Name(name)) == skeleton_of(Name(name)).casefold()


@given(TYPED, st.sampled_from(["NFC", "NFD"]))
def test_spelling(typed: str, form: Literal["NFC", "NFD"]) -> None:
    """A name typed in another case, or with its accents apart, has the same key if it is one."""
    try:
        key = key_of(read_name(typed))
        other = key_of(read_name(unicodedata.normalize(form, typed.lower())))
    except BadName:
        return
    assert key == other
