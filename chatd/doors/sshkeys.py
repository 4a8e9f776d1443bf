"""SSH keys: whom a file of public keys lets in, and the key that a server is known by.

The rule: a key counts only where all of its line and its file is understood and safe. What isn't is
never guessed: it is logged with the number of its line, and lets nobody in.
"""

import os
import stat
from base64 import b64encode
from binascii import a2b_base64
from hashlib import sha256
from pathlib import Path
from typing import Final

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.keys import Key
from twisted.logger import Logger

from chatd.domain.names import Name
from chatd.domain.text import clean
from chatd.doors.reception import ListenError

_log = Logger()

_MOST_BYTES: Final = 1_048_576
_LEAST_RSA_BITS: Final = 2048  # NIST SP 800-131A
_MOST_NAME: Final = 64
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_AT_ALL: Final = stat.S_IRWXG | stat.S_IRWXO

_RSA: Final = b"ssh-rsa"
_DSA: Final = b"ssh-dss"
# Each kind of key with the signatures that it may make. RSA's own old one is of SHA-1 (RFC 8332).
_SIGNATURES: Final = {
    b"ssh-ed25519": (b"ssh-ed25519",),
    b"sk-ssh-ed25519@openssh.com": (b"sk-ssh-ed25519@openssh.com",),
    b"ecdsa-sha2-nistp256": (b"ecdsa-sha2-nistp256",),
    b"ecdsa-sha2-nistp384": (b"ecdsa-sha2-nistp384",),
    b"ecdsa-sha2-nistp521": (b"ecdsa-sha2-nistp521",),
    b"sk-ecdsa-sha2-nistp256@openssh.com": (b"sk-ecdsa-sha2-nistp256@openssh.com",),
    _RSA: (b"rsa-sha2-512", b"rsa-sha2-256"),
}

SIGNATURES: Final = tuple(name for names in _SIGNATURES.values() for name in names)
"""Every signature that a client may log in with, for the list that it is sent (RFC 8308)."""


@attrs.frozen
class ListedKey:
    """Somebody's public key. ``name`` is the comment behind it, else the fingerprint."""

    name: Name
    blob: bytes
    key: Key
    signatures: tuple[bytes, ...]


@attrs.define(eq=False)
class AuthorizedKeys:
    """The file of public keys, in OpenSSH's format, read anew each time that it is asked.

    What is wrong with it is logged once, until something else is.
    """

    _path: Path
    _told: list[str] = attrs.field(factory=list)

    def read(self) -> list[ListedKey]:
        """Every key that counts."""
        problems: list[str] = []
        found: list[ListedKey] = []
        try:
            lines = _lines(self._path)
        except (OSError, _Unsafe) as error:
            problems.append(f"{self._path}: {_reason(error)}; it lets nobody in")
            lines = []
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.lstrip().startswith(b"#"):
                try:
                    found.append(_read_key(line))
                except _Unsafe as error:
                    problems.append(f"{self._path}:{number}: {error}")
        if problems != self._told:
            self._told = problems
            for problem in problems:
                _log.warn("{problem}", problem=problem)
        return found

    def find(self, blob: bytes) -> ListedKey | None:
        """The key that a client has sent, if it is listed."""
        return next((listed for listed in self.read() if listed.blob == blob), None)


def fingerprint(blob: bytes) -> str:
    """What people know a key by, as ``ssh-keygen -l`` shows it."""
    return f"SHA256:{b64encode(sha256(blob).digest()).decode().rstrip('=')}"


def host_key(path: Path) -> Key:
    """The key in a file, which is made if it is missing.

    Raises:
        ListenError: it can't be made or read, isn't one of ed25519, or others may read it.
    """
    try:
        if not path.exists():
            _make(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if os.fstat(descriptor).st_mode & _OTHERS_AT_ALL:
                raise ListenError(
                    f"{path}: others may read this key, so that it is none (chmod 600)"
                )
            text = file.read(_MOST_BYTES)
    except OSError as error:
        raise ListenError(f"{path}: {error.strerror}") from None
    try:
        key: Key = Key.fromString(text, "PRIVATE_OPENSSH")
    except Exception:  # noqa: BLE001 (whatever garbled bytes make the parser raise)
        raise ListenError(f"{path}: is no private key that can be read") from None
    if key.isPublic() or key.type() != "Ed25519":
        raise ListenError(f"{path}: is no private key of ed25519")
    return key


def _make(path: Path) -> None:
    """Make a key, in a file that is there whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(Key(Ed25519PrivateKey.generate()).toString("OPENSSH"))
        file.flush()
        os.fsync(descriptor)
    new.rename(path)


class _Unsafe(Exception):
    """Why a line or a file doesn't count."""


def _lines(path: Path) -> list[bytes]:
    # Not blocking, as it may be a pipe by mistake.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _Unsafe("is no plain file")
        if found.st_mode & _OTHERS_WRITE:
            raise _Unsafe("others may write it (chmod go-w)")
        text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise _Unsafe(f"is larger than {_MOST_BYTES} bytes")
    return text.splitlines()


def _read_key(line: bytes) -> ListedKey:
    kind, *rest = line.split(maxsplit=2)
    if kind == _DSA:
        raise _Unsafe("DSA keys are too weak")
    if kind not in _SIGNATURES:
        known = any(word in _SIGNATURES for words in rest for word in words.split())
        raise _Unsafe("options before a key don't work here" if known else "is no public key")
    try:
        blob = a2b_base64(rest[0], strict_mode=True)
        key = Key.fromString(blob, "BLOB")
        sound = getNS(blob)[0] == kind == key.sshType() and key.blob() == blob
    except Exception:  # noqa: BLE001 (whatever garbled bytes make the parser raise)
        sound = False
    if not sound:
        raise _Unsafe("is no public key")
    if kind == _RSA and key.size() < _LEAST_RSA_BITS:
        raise _Unsafe(f"RSA keys have at least {_LEAST_RSA_BITS} bits, this one {key.size()}")
    comment = clean(rest[1].decode(errors="replace")).strip() if rest[1:] else ""
    return ListedKey(Name(comment[:_MOST_NAME] or fingerprint(blob)), blob, key, _SIGNATURES[kind])


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
