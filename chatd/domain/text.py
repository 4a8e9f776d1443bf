"""Text hygiene: what a user sends is made harmless once, at the entrance.

The rule: after :func:`clean`, no text can move a cursor, start an escape sequence, reorder what
stands beside it (bidi controls) or pile up marks over the lines above it. Sources: Unicode
UAX #9 (bidi controls), UTS #36 (security considerations), UAX #44 (general categories).
"""

import math
import unicodedata
from itertools import pairwise
from typing import Final, NewType

Text = NewType("Text", str)
"""A line of user text that has been through :func:`clean`."""

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

_KIB: Final = 1024
_SIZES: Final = ("KiB", "MiB", "GiB", "TiB")
_TAB: Final = "    "
_JOINERS: Final = frozenset("\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
_HARMFUL: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_MOST_MARKS: Final = 4  # combining marks on one base character; Vietnamese needs 2, Hebrew 4


def clean(text: str) -> Text:
    """Replace what could harm a reader's terminal by U+FFFD; widen a tab to four spaces.

    Joiners stay, because Persian and emoji need them. Combining marks stay up to four on one base.
    """
    if text.isprintable() and text.isascii():
        return Text(text)
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        if category in {"Mn", "Me"}:
            marks += 1
            if marks > _MOST_MARKS:
                continue
        elif character not in _JOINERS:  # which have no width: what follows stands on the same base
            marks = 0
        if category in _HARMFUL and character not in _JOINERS:
            character = _TAB if character == "\t" else REPLACEMENT
        kept.append(character)
    return Text("".join(kept))


def erase(text: str) -> str:
    """Carry out the backspaces (BS, DEL) that a terminal in character mode sends with a line."""
    if "\b" not in text and "\x7f" not in text:
        return text
    kept: list[str] = []
    for character in text:
        if character not in "\b\x7f":
            kept.append(character)
        elif kept:
            kept.pop()
    return "".join(kept)


def plural(count: int, one: str, many: str = "") -> str:
    """``1 line``, ``2 lines``: a count with its noun."""
    return f"{count} {one}" if count == 1 else f"{count} {many or one + 's'}"


def size_of(count: int) -> str:
    """``1536`` as ``1.5 KiB``: a number of bytes in a unit that people can read."""
    if count < _KIB:
        return plural(count, "byte")
    size, unit = float(count), 0
    while size >= _KIB and unit < len(_SIZES):
        size, unit = size / _KIB, unit + 1
    return f"{size:.1f} {_SIZES[unit - 1]}"


def spell(seconds: float) -> str:
    """``90`` as ``1 minute 30 seconds``: a time in two units, rounded up to the smaller one."""
    whole = math.ceil(seconds)
    for (size, unit), (part, smaller) in pairwise(_UNITS):
        if whole > size:
            parts = -(-whole // part)
            units, rest = divmod(parts, size // part)
            shown = plural(units, unit)
            return f"{shown} {plural(rest, smaller)}" if rest else shown
    return plural(whole, "second")
