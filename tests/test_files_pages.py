"""The pages that a browser shows for a ticket."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import attrs
import pytest

from chatd.domain.filenames import FileName
from chatd.domain.names import Key, Name
from chatd.domain.records import Transfer
from chatd.doors.filepages import POLICY, download_page, sentence_page, upload_page

TRANSFER = Transfer(
    id=1,
    spool="00",
    sender=Key("alice"),
    sender_name=Name("alice"),
    to="bob",
    room=None,
    name=FileName("notes.pdf"),
    size=1536,
    sha256="ab" * 32,
    created=0.0,
    expires=10.0,
    ticket="",
    ticket_expires=0.0,
)


class Seen(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: bytes) -> None:
        HTMLParser.__init__(self)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._quiet = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        self.elements.append((tag, dict(attributes)))
        self._quiet = tag if tag in {"script", "style"} else ""

    def handle_data(self, text: str) -> None:
        """Take note of what is to read."""
        if not self._quiet:
            self.words += text.split()

    @property
    def text(self) -> str:
        """What is to read."""
        return " ".join(self.words)


def test_download_page() -> None:
    """A recipient sees name, size, hash and sender of a file, and a link to fetch it."""
    seen = Seen(download_page(TRANSFER))
    assert seen.text == (
        "notes.pdf notes.pdf From alice Size 1.5 KiB (1536 bytes) "
        f"SHA-256 {'ab' * 32} Download This works until the whole file is fetched."
    )
    assert ("a", {"href": "?download"}) in seen.elements
    assert "script" not in dict(seen.elements)


def test_upload_page() -> None:
    """A sender sees whom a file goes to and how much of it is there, and chooses it."""
    seen = Seen(upload_page(TRANSFER, 512))
    assert seen.text == (
        "Send notes.pdf Send notes.pdf To bob Size 1.5 KiB (1536 bytes) "
        "Of it, the server has 512 bytes The file: Send "
        "Without scripts: curl -T FILE and the address of this page."
    )
    assert ("input", {"type": "file", "name": "file", "required": None}) in seen.elements


def test_upload_page_of_unknown_size() -> None:
    """Where nobody has said how large a file is, and nothing is there yet, nothing is said."""
    seen = Seen(upload_page(attrs.evolve(TRANSFER, size=None), 0))
    assert seen.text.startswith("Send notes.pdf Send notes.pdf To bob The file:")


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=a>', "&lt;'"])
def test_what_people_typed_is_text(text: str) -> None:
    """A name that looks like HTML is shown as it is, and nothing else happens."""
    named = attrs.evolve(
        TRANSFER, name=FileName(text), to=text, sender_name=Name(text), sha256=text
    )
    for page, plain, count in [
        (upload_page(named, 1), upload_page(TRANSFER, 1), 3),
        (download_page(named), download_page(TRANSFER), 4),
        (sentence_page(text, text), sentence_page("a", "a"), 3),
    ]:
        seen = Seen(page)
        assert seen.elements == Seen(plain).elements
        assert seen.text.count(text) == count


def test_policy_names_what_is_in_the_page() -> None:
    """The one script and the one style are those that the policy lets run, by their hashes."""
    page = upload_page(TRANSFER, 0).decode()
    for tag in ("script", "style"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in POLICY
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY
