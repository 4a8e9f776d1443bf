"""The disk as doors see it: files that are written and read, by names of the server's own.

The rule: nothing here waits in the reactor's thread. :mod:`chatd.spool` fits these shapes.
"""

from typing import Protocol


class Writing(Protocol):
    """A file that is being written."""

    async def write(self, pieces: list[bytes]) -> None:
        """Append these.

        Raises:
            NoSpace: the disk is full.
        """

    async def finish(self) -> tuple[int, str]:
        """Make it safe against a crash; its size and its SHA-256 in hex."""

    async def close(self) -> int:
        """Let go of it; how many bytes are really there."""


class Reading(Protocol):
    """A file that is being read."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    async def read(self, offset: int, count: int) -> bytes:
        """So many bytes from ``offset`` on.

        Raises:
            EOFError: the file is shorter than that.
        """

    async def send(self, to: int, offset: int, count: int) -> int:
        """Send up to so many bytes to a socket's descriptor; how many it took, 0 if it is full.

        Raises:
            EOFError: there is nothing at ``offset``.
            ConnectionError: the other side is gone.
        """

    async def close(self) -> object:
        """Let go of it."""


class Disk(Protocol):
    """Where the files are; methods raise OSError where the disk doesn't do what it should."""

    async def write(self, name: str, offset: int) -> Writing:
        """Begin or go on with a file at ``offset``; what was there behind it is gone.

        Raises:
            WrongOffset: it is shorter.
            NoSpace: the disk is full.
        """

    async def read(self, name: str) -> Reading:
        """Read a file."""

    def remove(self, name: str) -> None:
        """Remove a file soon; one that isn't there is removed already."""
