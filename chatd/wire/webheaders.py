"""The headers of HTTP that files need: parts of a file, its name and its hash.

The rule: text in, values out. What a client may get wrong by the RFCs is passed over, what would
spoil a file is refused. Sources: RFC 9110 (ranges), 6266 and 8187 (names), 9530 (digests).
"""

import base64
import re
import unicodedata
from typing import Final
from urllib.parse import quote

from chatd.domain.errors import WrongOffset, WrongSize
from chatd.domain.filenames import FileName

_RANGE: Final = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.ASCII | re.IGNORECASE)
_CONTENT_RANGE: Final = re.compile(
    r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII | re.IGNORECASE
)
_UNQUOTED: Final = "!#$&+-.^_`|~"  # besides letters and digits; attr-char of RFC 8187
_FOREIGN: Final = re.compile(r"[^ !#-\[\]-~]+|%")  # what no quoted string has that all understand


def wanted_part(header: str, size: int) -> tuple[int, int] | None:
    """From where up to where a client wants a file of this size, by its ``Range``; None for all.

    Several parts at once are not given, and what is no range is as none.

    Raises:
        WrongOffset: nothing of the file is there.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise WrongOffset(size)
    return start, end


def sent_part(header: str, length: int | None) -> tuple[int, int]:
    """From where on a client sends a file, and the size of it all, by its ``Content-Range``.

    ``length`` is that of what it sends, None where it doesn't say so.

    Raises:
        WrongSize: this is no part, or not the last one.
    """
    found = _CONTENT_RANGE.fullmatch(header.strip())
    start, last, size = map(int, found.groups()) if found else (0, 0, 0)
    if not start <= last == size - 1:
        raise WrongSize("Content-Range is bytes START-END/SIZE, up to the end of the file.")
    if length not in {None, size - start}:
        raise WrongSize(f"From byte {start} on there are {size - start}, not {length}.")
    return start, size


def disposition(name: FileName) -> str:
    """The ``Content-Disposition`` of a file to be saved under this name.

    Every client knows ``filename``, where only ASCII is safe, and browsers prefer ``filename*``.
    """
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = _FOREIGN.sub("_", plain)
    if not any(map(str.isalnum, plain.rpartition(".")[0] or plain)):
        plain = f"file{plain}"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_UNQUOTED)}"


def digest(sha256: str) -> str:
    """The ``Repr-Digest`` of a file with this SHA-256, which is in hex."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
