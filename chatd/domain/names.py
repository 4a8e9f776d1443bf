"""Names: checked once where they come in, trusted inside.

The rule: a :data:`Name` is what people see, as its owner wrote it; a :data:`Key` is what the
program compares. Nothing else decides whether two names are the same, or look the same.
Sources: RFC 8265 (PRECIS usernames), UTS #39 (single script, confusable skeleton).
"""

import unicodedata
from collections.abc import Container
from functools import lru_cache
from typing import Final, NewType

from confusable_homoglyphs import categories, confusables
from precis_i18n import get_profile

from chatd.domain.errors import BadName
from chatd.domain.text import clean

Name = NewType("Name", str)
"""A person's name as registered: 1 to 32 characters of one script, letter first."""

RoomName = NewType("RoomName", str)
"""What an event's room is called: a channel's name, ``@team`` for a group, ``~bob`` for the inbox
that bob's direct messages are in (the key, not the name)."""

ChannelName = RoomName
"""A channel's name as configured; its room is called the same."""

GroupName = NewType("GroupName", str)
"""A group's name as its maker wrote it, without the sign."""

Key = NewType("Key", str)
"""A name, case and width folded (PRECIS UsernameCaseMapped): equal keys are the same name."""

LONGEST: Final = 32

GROUP: Final = "@"
INBOX: Final = "~"
"""The signs that the rooms of groups and inboxes begin with; no name can."""

EVERYONE: Final = RoomName("*")
"""The room that everybody online hears."""

WATCHERS: Final = RoomName("!")
"""The room that operators hear who watch."""

SERVER: Final = Name("Server")
"""Whose lines in an inbox are the server's own; nobody can have this name."""

RESERVED: Final = frozenset(
    Key(word)
    for word in ("all", "channel", "chatd", "everyone", "guest", "here", "lobby", "server", "you")
)
"""Words that a line of the server could begin with, or that stand for more than one person."""

_SHOWN = get_profile("UsernameCasePreserved")
_FOLDED = get_profile("UsernameCaseMapped")
_ONE_WRITING: Final = (
    frozenset({"HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"HAN", "HANGUL"}),
    frozenset({"HAN", "BOPOMOFO"}),
)
_PUNCTUATION: Final = frozenset("_-.")


def read_name(text: str) -> Name:
    """Check what somebody typed as a person's name.

    Raises:
        BadName: it breaks one of the rules; the message says which.
    """
    return Name(_checked(text, "A name", digit_first=False))


def read_channel_name(text: str) -> ChannelName:
    """Check a channel's name; it may begin with a digit.

    Raises:
        BadName: as :func:`read_name`.
    """
    return ChannelName(_checked(text, "A channel's name", digit_first=True))


def read_group_name(text: str) -> GroupName:
    """Check what somebody typed as a group's name.

    Raises:
        BadName: as :func:`read_name`.
    """
    return GroupName(_checked(text, "A group's name", digit_first=True))


def group_room(name: GroupName) -> RoomName:
    """The room of a group."""
    return RoomName(f"{GROUP}{name}")


def inbox_room(key: Key) -> RoomName:
    """The room that a person's direct messages are in."""
    return RoomName(f"{INBOX}{key}")


@lru_cache(maxsize=8192)
def key_of(name: Name | ChannelName | GroupName) -> Key:
    """The form in which a checked name is compared."""
    return Key(_FOLDED.enforce(name))


@lru_cache(maxsize=8192)
def skeleton_of(name: Name | GroupName) -> str:
    """What a name looks like: names with one skeleton can be taken for each other (UTS #39, 4).

    It is taken from the name as shown and folded afterwards, since folding first would hide that
    a capital I looks like a small l.
    """
    mapped = "".join(_prototype(character) for character in unicodedata.normalize("NFD", name))
    return unicodedata.normalize("NFD", mapped).casefold()


def check_free(name: Name, reserved: Container[Key]) -> None:
    """See that a name may be given to a new account or guest.

    Raises:
        BadName: it is a reserved word.
    """
    if key_of(name) in reserved or skeleton_of(name) in reserved:
        raise BadName(f"{name} is a reserved word, please choose another name.")


def _checked(text: str, what: str, *, digit_first: bool) -> str:
    _check_shape(text, what, digit_first=digit_first)
    try:
        shown: str = _SHOWN.enforce(text)
        folded: str = _FOLDED.enforce(text)
    except UnicodeEncodeError:
        raise BadName(f"{what} is made of plain letters and digits only.") from None
    scripts = categories.unique_aliases(shown) - {"COMMON", "INHERITED"}
    if len(scripts) > 1 and not any(scripts <= writing for writing in _ONE_WRITING):
        raise BadName(f"{what} keeps to the letters of one script.")
    # PRECIS may have made a letter a mark, or one character several.
    _check_shape(shown, what, digit_first=digit_first)
    if len(folded) > LONGEST:
        raise BadName(f"{what} has 1 to {LONGEST} characters.")
    return shown


def _check_shape(text: str, what: str, *, digit_first: bool) -> None:
    if not 1 <= len(text) <= LONGEST:
        raise BadName(f"{what} has 1 to {LONGEST} characters.")
    if not (text[0].isalpha() or (digit_first and text[0].isdigit())):
        raise BadName(f"{what} begins with a letter.")
    if not all(c.isalnum() or c in _PUNCTUATION or _is_mark(c) for c in text):
        raise BadName(f"{what} is made of letters, digits, '_', '-' and '.' only.")
    if clean(text) != text:
        raise BadName(f"{what} has too many marks on one letter.")


def _is_mark(character: str) -> bool:
    """Whether it belongs to a letter, as the vowels of Hindi and Thai do."""
    return unicodedata.category(character) in {"Mn", "Mc"}


def _prototype(character: str) -> str:
    """The one that stands for all characters that look alike.

    The table lists every pair both ways, so that a character with several look-alikes is a
    prototype, and one with a single look-alike is drawn as that one. Where the two have only each
    other, the smaller stands for both.
    """
    alike = [row["c"] for row in confusables.confusables_data.get(character, ())]
    if len(alike) != 1:
        return character
    other: str = alike[0]
    back = confusables.confusables_data.get(other, ())
    return min(character, other) if len(back) == 1 else other
