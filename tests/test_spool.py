"""The files of the spool: on a real disk, and in real threads."""

import errno
import hashlib
import os
import resource
import socket
import stat
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred

from chatd.domain.errors import NoSpace, WrongOffset
from chatd.spool import DiskSpool, SpoolError, SpoolWriting
from tests.threads import Threads

T = TypeVar("T")

Do = Callable[[Coroutine[Any, Any, T]], T]

MIB = 1024 * 1024


@pytest.fixture
def do(threads: Threads) -> Callable[[Coroutine[Any, Any, T]], T]:
    """Run something that threads have a part in."""
    return lambda work: threads.wait(Deferred.fromCoroutine(work))


@pytest.fixture
def spool(tmp_path: Path, threads: Threads, do: Do[None]) -> Iterator[DiskSpool]:
    """A spool, in which everything is closed at the end."""
    made = DiskSpool.start(tmp_path / "files", threads)
    yield made
    assert not made.open
    do(made.stop())


@contextmanager
def disk_of(count: int) -> Iterator[None]:
    """A disk on which no file can have more than so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def put(spool: DiskSpool, data: bytes, offset: int = 0, name: str = "one") -> tuple[int, str]:
    """Write a file; its size and its hash."""
    writing = await spool.write(name, offset)
    try:
        await writing.write([data])
        return await writing.finish()
    finally:
        await writing.close()


def hashed(data: bytes) -> tuple[int, str]:
    """The size and the hash of what a file should be."""
    return len(data), hashlib.sha256(data).hexdigest()


def test_write(spool: DiskSpool, tmp_path: Path, do: Do[Any]) -> None:
    """A file that is written is there, with its hash, and for nobody else to read."""
    assert do(put(spool, b"hello")) == hashed(b"hello")
    path = tmp_path / "files" / "one"
    assert path.read_bytes() == b"hello"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_go_on(spool: DiskSpool, tmp_path: Path, do: Do[Any]) -> None:
    """A file that is gone on with has what was there before, and nothing that was behind it."""
    do(put(spool, b"hello there"))
    assert do(put(spool, b" you", 5)) == hashed(b"hello you")
    assert (tmp_path / "files" / "one").read_bytes() == b"hello you"
    assert do(put(spool, b"")) == hashed(b"")


def test_go_on_far(spool: DiskSpool, tmp_path: Path, do: Do[Any]) -> None:
    """What is hashed of a large file, to go on with it, is hashed in parts."""
    path = tmp_path / "files" / "one"
    path.touch()
    os.truncate(path, 65 * MIB + 1)
    assert do(put(spool, b"end", 65 * MIB)) == hashed(bytes(65 * MIB) + b"end")


def test_go_on_too_far(spool: DiskSpool, do: Do[Any]) -> None:
    """Nobody can go on with what isn't there."""
    do(put(spool, b"hello"))
    with pytest.raises(WrongOffset) as caught:
        do(spool.write("one", 6))
    assert caught.value.offset == 5


def test_cut_short_meanwhile(spool: DiskSpool, tmp_path: Path, do: Do[Any]) -> None:
    """A file that somebody else makes shorter is an error, and no endless search for the rest."""
    directory = tmp_path / "files"
    spool.open += 1
    writing = SpoolWriting(spool, os.open(directory / "one", os.O_CREAT | os.O_RDWR), directory)
    with pytest.raises(EOFError):
        do(writing.go_on(5))
    assert do(writing.close()) == 0


def test_many_pieces(spool: DiskSpool, tmp_path: Path, do: Do[Any]) -> None:
    """Thousands of pieces are written in their order, with empty ones among them."""
    pieces = [str(number).encode() * (number % 7) for number in range(5000)]

    async def write() -> tuple[int, str]:
        writing = await spool.write("one", 0)
        await writing.write(pieces)
        result = await writing.finish()
        assert await writing.close() == result[0]
        return result

    assert do(write()) == hashed(b"".join(pieces))
    assert (tmp_path / "files" / "one").read_bytes() == b"".join(pieces)


def test_full_disk(spool: DiskSpool, do: Do[Any]) -> None:
    """A full disk refuses a file, and has the room back that it had taken."""

    async def fill() -> int:
        writing = await spool.write("one", 0)
        with pytest.raises(NoSpace), disk_of(2500):
            await writing.write([b"a" * 1000, b"b" * 1000, b"c" * 1000])
        return await writing.close()

    assert do(fill()) == 0
    assert do(put(spool, b"hello")) == hashed(b"hello")


def test_read(spool: DiskSpool, do: Do[Any]) -> None:
    """A file is read from any place on; more than there is of it is an error."""
    do(put(spool, b"hello"))
    reading = do(spool.read("one"))
    assert reading.size == 5
    assert do(reading.read(1, 3)) == b"ell"
    with pytest.raises(EOFError):
        do(reading.read(1, 5))
    do(reading.close())


def test_send(spool: DiskSpool, do: Do[Any]) -> None:
    """A file goes to a socket, as much at once as that takes."""
    data = os.urandom(4 * MIB)
    do(put(spool, data))
    reading = do(spool.read("one"))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        sent = do(reading.send(ours.fileno(), 0, len(data)))
        assert 0 < sent < len(data)
        while do(reading.send(ours.fileno(), 0, MIB)):
            pass  # until it is full
        assert theirs.recv(1000, socket.MSG_WAITALL) == data[:1000]
        with pytest.raises(EOFError):
            do(reading.send(ours.fileno(), len(data), 1))
        theirs.close()
        with pytest.raises(ConnectionError):
            do(reading.send(ours.fileno(), 0, 1))
    do(reading.close())


def test_send_to_nowhere(spool: DiskSpool, do: Do[Any]) -> None:
    """A socket that isn't connected is like a connection that is gone; no socket is an error."""
    do(put(spool, b"hello"))
    reading = do(spool.read("one"))
    with socket.socket(socket.AF_UNIX) as alone, pytest.raises(ConnectionError):
        do(reading.send(alone.fileno(), 0, 5))
    with pytest.raises(OSError, match="Bad file descriptor"):
        do(reading.send(-1, 0, 5))
    do(reading.close())


def test_no_way_out(spool: DiskSpool, tmp_path: Path, do: Do[Any]) -> None:
    """A link in the spool leads nowhere."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "files" / "one").symlink_to(tmp_path / "secret")
    for work in (spool.read("one"), spool.write("one", 0)):
        with pytest.raises(OSError, match="symbolic") as caught:
            do(work)
        assert caught.value.errno == errno.ELOOP
    assert spool.sizes() == {}


def test_kept(tmp_path: Path, threads: Threads, do: Do[Any], logged: list[str]) -> None:
    """What the server knows nothing of is removed at the start, and what it knows is kept."""
    directory = tmp_path / "files"
    directory.mkdir()
    (directory / "one").write_bytes(b"1")
    (directory / "two").write_bytes(b"22")
    (directory / "more").mkdir()
    spool = DiskSpool.start(directory, threads)
    assert spool.sizes() == {"one": 1, "two": 2}
    spool.keep_only({"two", "three"})
    spool.remove("three")
    do(spool.stop())
    assert spool.sizes() == {"two": 2}
    assert "removing one: no file on its way has it" in logged


def test_not_removed(spool: DiskSpool, tmp_path: Path, do: Do[Any], logged: list[str]) -> None:
    """What can't be removed is in the log."""
    (tmp_path / "files" / "one").mkdir()
    spool.remove("one")
    do(spool.stop())
    assert logged == [f"{tmp_path}/files/one can't be removed: Is a directory"]


def test_room(spool: DiskSpool) -> None:
    """There is some room on the disk."""
    assert spool.free() > 0


def test_stop(spool: DiskSpool, threads: Threads, do: Do[Any]) -> None:
    """The spool ends when the last file is closed, and not before."""
    writing, reading = do(spool.write("one", 0)), do(spool.write("two", 0))
    stopped = Deferred.fromCoroutine(spool.stop())
    do(writing.write([b"hello"]))
    do(writing.close())
    assert not stopped.called
    do(reading.close())
    threads.wait(stopped)
    with pytest.raises(OSError, match="closed"):
        do(spool.read("one"))


def test_no_directory(tmp_path: Path, threads: Threads) -> None:
    """A directory that can't be used stops the start with a sentence."""
    (tmp_path / "files").touch()
    with pytest.raises(SpoolError) as caught:
        DiskSpool.start(tmp_path / "files", threads)
    assert str(caught.value) == f"{tmp_path}/files: File exists"
