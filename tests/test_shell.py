"""Lines to paste: a real shell runs them, with stand-ins for nc and curl that note everything."""

import os
import subprocess
from pathlib import Path

import attrs
import pytest

from chatd.domain.errors import BadFileName
from chatd.domain.events import Place, TicketGiven, Way
from chatd.domain.filenames import FileName, read_file_name
from chatd.wire.shell import shell_lines

TICKET = "0123456789abcdef" * 2
BYTES = b"0123456789\x00\xff\n"
HERE = (Place("chat.example.org", 5080, tls=False),)
PUT = TicketGiven(
    way=Way.PUT,
    number=3,
    ticket=TICKET,
    name=FileName("notes.pdf"),
    path="notes.pdf",
    size=len(BYTES),
    sha256="",
    other="bob",
    done=0,
    places=HERE,
    seconds=3600,
    at=0.0,
)
GET = attrs.evolve(PUT, way=Way.GET, sha256="ab" * 32, other="alice")

NASTY = [
    "notes.pdf",
    "my notes of today.pdf",
    "it's.pdf",
    'say "hi".pdf',
    "'",
    "$(touch broken)",
    "`touch broken`",
    "a; touch broken #",
    "a && touch broken",
    "a|touch broken",
    "${HOME}",
    "*",
    "?",
    "[a-z]",
    "{a,b}",
    "!!",
    "a\\b",
    "-rf",
    "--output",
    "-",
    ".bashrc",
    "#1",
    "%41%2f",
    "a&b<c>d",
    "تقرير نهائي.pdf",
    "\N{PILE OF POO}.png",
]

_STUB = """#!/bin/sh
printf '%s\\n' "$@" >"$CALLS/arguments"
[ -t 0 ] || cat >"$CALLS/input"
printf 'answer'
"""


@attrs.frozen
class Shell:
    """Where somebody has his files, and what nc or curl were called with there."""

    home: Path
    calls: Path

    def run(self, line: str, directory: Path | None = None) -> tuple[list[str], bytes]:
        """Run a line; return the program's arguments and what it was sent."""
        path = f"{self.calls}:{os.environ['PATH']}"
        environment = {"PATH": path, "CALLS": str(self.calls), "HOME": str(self.home)}
        subprocess.run(
            ["sh", "-c", line],
            cwd=directory or self.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=20,
        )
        arguments = (self.calls / "arguments").read_text().split("\n")[:-1]
        return arguments, (self.calls / "input").read_bytes()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An empty home, and stand-ins for nc and curl before the real ones."""
    made = Shell(tmp_path / "home", tmp_path / "calls")
    made.home.mkdir()
    made.calls.mkdir()
    for name in ("nc", "curl"):
        (made.calls / name).write_text(_STUB)
        (made.calls / name).chmod(0o755)
    return made


def first(line: bytes) -> list[bytes]:
    """The words of the line that the files port reads first."""
    return line.partition(b"\n")[0].split()


@pytest.mark.parametrize("path", [*NASTY, "some where/no tes", "~/notes 1.pdf", "../home/x"])
def test_sent_by_nc(shell: Shell, path: str) -> None:
    """The ticket, the size and the bytes of just the file that was named go to nc."""
    file = shell.home / path.removeprefix("~/")
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(BYTES)
    by_nc, _ = shell_lines(attrs.evolve(PUT, path=path))
    arguments, sent = shell.run(by_nc)
    assert arguments == ["chat.example.org", "5080"]
    assert first(sent) == [b"PUT", TICKET.encode(), str(len(BYTES)).encode()]
    assert sent.partition(b"\n")[2] == BYTES
    assert not (shell.home / "broken").exists()


@pytest.mark.parametrize("done", [1, 5, len(BYTES)])
@pytest.mark.parametrize("path", NASTY)
def test_sent_on_by_nc(shell: Shell, path: str, done: int) -> None:
    """After a break nc sends the rest, and says from where."""
    (shell.home / path).write_bytes(BYTES)
    by_nc, _ = shell_lines(attrs.evolve(PUT, path=path, done=done))
    _, sent = shell.run(by_nc)
    assert first(sent) == [b"PUT", TICKET.encode(), b"%d" % len(BYTES), b"%d" % done]
    assert sent.partition(b"\n")[2] == BYTES[done:]


@pytest.mark.parametrize("done", [0, 5])
@pytest.mark.parametrize("path", [*NASTY, "~/notes 1.pdf"])
def test_sent_by_curl(shell: Shell, path: str, done: int) -> None:
    """The file that was named goes to curl, and where to go on after a break."""
    _, by_curl = shell_lines(attrs.evolve(PUT, path=path, done=done))
    arguments, _ = shell.run(by_curl)
    *before, option, named, url = arguments
    assert before == (["-g", "-C", "5"] if done else ["-g"])
    assert option == "-T"
    meant = f"./{path}" if path.startswith("-") else path
    assert named == meant.replace("~", str(shell.home))
    assert url == f"http://chat.example.org:5080/{TICKET}"


@pytest.mark.parametrize("path", NASTY)
def test_fetched(shell: Shell, path: str) -> None:
    """What is fetched is in a file of the name that was offered, by nc and by curl."""
    try:
        name = read_file_name(path)
    except BadFileName:
        return  # nobody is ever offered that
    by_nc, by_curl = shell_lines(attrs.evolve(GET, name=name))
    arguments, sent = shell.run(by_nc)
    assert arguments == ["chat.example.org", "5080"]
    assert sent == f"GET {TICKET}\n".encode()
    assert [(file.name, file.read_bytes()) for file in shell.home.iterdir()] == [(name, b"answer")]
    arguments, _ = shell.run(by_curl)
    assert arguments == ["-gf", "-o", name, f"http://chat.example.org:5080/{TICKET}"]


@pytest.mark.parametrize("name", ["notes.pdf", "my notes.pdf", "it's"])
def test_fetched_on(shell: Shell, name: str) -> None:
    """After a break a download goes on behind what is really there, whatever the server thinks."""
    (shell.home / name).write_bytes(b"my ")
    given = attrs.evolve(GET, name=FileName(name), done=5)
    by_nc, by_curl = shell_lines(given)
    _, sent = shell.run(by_nc)
    assert first(sent) == [b"GET", TICKET.encode(), b"3"]
    assert (shell.home / name).read_bytes() == b"my answer"
    arguments, _ = shell.run(by_curl)
    assert arguments[:5] == ["-gf", "-C", "-", "-o", name]


@pytest.mark.parametrize(
    ("path", "shown"), [("~", "'~'"), ("~/", "~/"), ("~bob/x", "'~bob/x'"), ("a~/b", "'a~/b'")]
)
def test_home(path: str, shown: str) -> None:
    """Only the shell knows where one's home is, and it is asked for nothing else."""
    _, by_curl = shell_lines(attrs.evolve(PUT, path=path))
    assert by_curl.split()[3] == shown


def test_with_tls() -> None:
    """Where the port has TLS only curl can be used."""
    places = (Place("chat.example.org", 5443, tls=True),)
    url = f"https://chat.example.org:5443/{TICKET}"
    assert list(shell_lines(attrs.evolve(PUT, places=places))) == [f"curl -g -T notes.pdf {url}"]
    assert list(shell_lines(attrs.evolve(GET, places=places))) == [f"curl -gf -o notes.pdf {url}"]


def test_ipv6() -> None:
    """An address of IPv6 stands in brackets in a URL, and without them for nc."""
    by_nc, by_curl = shell_lines(attrs.evolve(GET, places=(Place("2001:db8::1", 80, tls=False),)))
    assert by_nc == f"echo GET {TICKET} | nc 2001:db8::1 80 > notes.pdf"
    assert by_curl == f"curl -gf -o notes.pdf http://[2001:db8::1]:80/{TICKET}"


def test_many_places() -> None:
    """Every place is told, in its order."""
    places = (*HERE, Place("::1", 5443, tls=True), Place("::1", 5080, tls=False))
    words = [line.split()[-1] for line in shell_lines(attrs.evolve(PUT, places=places))]
    urls = ("http://chat.example.org:5080", "https://[::1]:5443", "http://[::1]:5080")
    plain, tls, other = (f"{url}/{TICKET}" for url in urls)
    assert words == ["5080", plain, tls, "5080", other]
