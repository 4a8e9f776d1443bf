"""Disks for files, in memory."""

import hashlib

import attrs
from twisted.internet.defer import Deferred

from chatd.domain.errors import WrongOffset


@attrs.define(eq=False)
class MemoryDisk:
    """A disk in memory. ``error`` is what happens at the next thing that is done with a file.

    While it is ``busy``, everything waits.
    """

    files: dict[str, bytes] = attrs.field(factory=dict)
    error: Exception | None = None
    open: int = 0
    busy: bool = False
    _waiting: list["Deferred[None]"] = attrs.field(factory=list)

    def proceed(self) -> None:
        """Be busy no longer."""
        self.busy = False
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    async def write(self, name: str, offset: int) -> "MemoryFile":
        """Begin or go on with a file."""
        await self.do()
        there = self.files.get(name, b"")
        if len(there) < offset:
            raise WrongOffset(len(there))
        self.files[name] = there[:offset]
        self.open += 1
        return MemoryFile(self, name)

    async def read(self, name: str) -> "MemoryFile":
        """Read a file."""
        await self.do()
        self.open += 1
        return MemoryFile(self, name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.files.pop(name, None)

    async def do(self) -> None:
        """Wait for the disk."""
        if self.busy:
            self._waiting.append(Deferred())
            await self._waiting[-1]
        error, self.error = self.error, None
        if error is not None:
            raise error


@attrs.define(eq=False)
class MemoryFile:
    """A file that is being written or read; what was removed can still be written."""

    _disk: MemoryDisk
    _name: str

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self._disk.files[self._name])

    async def write(self, pieces: list[bytes]) -> None:
        """Append these."""
        await self._disk.do()
        if self._name in self._disk.files:
            self._disk.files[self._name] += b"".join(pieces)

    async def finish(self) -> tuple[int, str]:
        """Its size and its hash."""
        await self._disk.do()
        data = self._disk.files.get(self._name, b"")
        return len(data), hashlib.sha256(data).hexdigest()

    async def read(self, offset: int, count: int) -> bytes:
        """So many bytes."""
        await self._disk.do()
        data = self._disk.files[self._name][offset : offset + count]
        if len(data) < count:
            raise EOFError
        return data

    async def send(self, to: int, offset: int, count: int) -> int:
        """Nothing here has a socket."""
        raise NotImplementedError

    async def close(self) -> int:
        """How many bytes there are."""
        self._disk.open -= 1
        return len(self._disk.files.get(self._name, b""))
