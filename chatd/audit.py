"""The audit log: what operators do, and what others try to, one JSON object a line.

The rule: lines are only ever appended, each in one write, and never hold a password or a message. A
log that can't be written is an error in the server's log, with the act, and stops nobody: an
operator must be able to act on a full disk above all.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import attrs
from twisted.logger import Logger

from chatd.domain.records import Act

_log = Logger()


@attrs.define(eq=False)
class AuditFile:
    """The file; it is opened at the first act, and again after :meth:`reopen`."""

    _path: Path
    _file: int | None = None
    _cut: bool = False  # its last line has no end

    def note(self, act: Act) -> None:
        """Append an act."""
        line = json.dumps(_shown(act)).encode() + b"\n"
        text = b"\n" + line if self._cut else line
        try:
            if self._file is None:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o600)
            self._cut = os.write(self._file, text) < len(text)
            if self._cut:
                raise OSError(f"{self._path}: a line was cut short")
        except OSError:
            _log.failure("not in the audit log: {act}", act=line.decode().rstrip())

    def reopen(self) -> None:
        """Let go of the file, which may have been moved away."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _shown(act: Act) -> dict[str, str]:
    """An act as it is written: a time people can read, and nothing that is empty."""
    at = datetime.fromtimestamp(act.at, UTC).isoformat(timespec="milliseconds")
    fields = attrs.asdict(act, filter=lambda field, value: field.name != "at" and value != "")
    return {"time": at.replace("+00:00", "Z"), **fields}
