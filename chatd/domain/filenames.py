"""What a file is called: cleaned once where it comes in, and never a path of the server's.

The rule: a file's name is for people to read, and for the disk of whoever fetches it; the server
keeps files under names of its own. Sources: POSIX (no slash, no NUL), Windows' reserved names
(Naming Files, Paths, and Namespaces), and what :mod:`chatd.domain.text` says of terminals.
"""

import re
from typing import Final, NewType

from chatd.domain.errors import BadFileName
from chatd.domain.text import REPLACEMENT, clean

FileName = NewType("FileName", str)
"""A file's name that is harmless on a screen and on every system: no path, no control character."""

_LONGEST: Final = 200  # bytes; file systems take 255, and browsers add " (1)"
_SEPARATORS: Final = re.compile(r"[/\\]")
_FORBIDDEN: Final = re.compile(r'[<>:"|?*]')
_RESERVED: Final = re.compile(
    r"(con|conin\$|conout\$|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE
)
_JOINERS: Final = dict.fromkeys(
    map(ord, f"{REPLACEMENT}\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
)


def read_file_name(text: str) -> FileName:
    """The harmless name of a file that somebody named, with or without a path to it.

    Raises:
        BadFileName: nothing is left of it.
    """
    last = _SEPARATORS.split(text.rstrip("/\\"))[-1]
    # Twice, since what is taken out no longer stands between marks that pile up.
    name = _FORBIDDEN.sub("_", clean(clean(last).translate(_JOINERS)))
    # Windows drops dots and spaces at the end; at the beginning a dot hides, a dash is an option.
    name = " ".join(name.split()).rstrip(". ").lstrip(".- ")
    if not name:
        raise BadFileName(clean(text))
    if _RESERVED.match(name):
        name = f"_{name}"
    return FileName(_shortened(name))


def _shortened(name: str) -> str:
    """A name that every file system takes, with its ending."""
    if len(name.encode()) <= _LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) > _LONGEST // 4:
        stem, dot, ending = name, "", ""
    room = _LONGEST - len(f"{dot}{ending}".encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + dot + ending
