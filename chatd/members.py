"""The members file of a closed server: who may get in, in a text file that people edit.

The rule: the file is its operator's. Of what stands in it only a plain password is ever changed,
into its hash and by an atomic rename; a mistake in one line is told and costs nobody else anything;
a file that can't be read changes nothing.

A line is ``name-or-mail password [group...]``; blank lines and lines that begin with # are kept.
"""

import os
import re
import stat
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from chatd.domain.errors import BadMail, BadName, BadPassword, ChatError, NameTaken
from chatd.domain.names import (
    LONGEST,
    RESERVED,
    GroupName,
    Key,
    Name,
    check_free,
    key_of,
    read_group_name,
    read_name,
    skeleton_of,
)
from chatd.domain.ports import Clock, Store
from chatd.domain.records import Account, Role
from chatd.domain.text import clean

_log = Logger()

_LARGEST: Final = 10 * 1024 * 1024  # bytes; it is read in the reactor's thread
_LONGEST_MAIL: Final = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets
_SCHEME: Final = "chatd1:"  # chatd.auth's; a test compares them
_HASH: Final = re.compile(_SCHEME + r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_WORD: Final = re.compile(r"[^ \t]+")
_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"  # what Windows' editors begin a file with

_Stat = tuple[int, ...] | None
"""What tells one state of a file from another; None where there is no file."""

Groups = Mapping[Key, tuple[Name, ...]]
"""Each group's members, in the file's order."""

Changed = Callable[[frozenset[Key], Groups], Awaitable[None]]


class Hashes(Protocol):
    """Makes hashes: :class:`chatd.auth.Bcrypt`."""

    def hash(self, password: str) -> Awaitable[str]:
        """Make what is stored of a password.

        Raises:
            BadPassword: it can't be one.
            TooBusy: too many wait.
        """


class Unreadable(Exception):
    """A file that can't be read now. ``str()`` says why."""


@attrs.frozen
class Entry:
    """A line that counts. ``password`` is a hash where ``hashed``, else as it was written."""

    number: int
    name: Name
    mail: str | None
    password: str = attrs.field(repr=False)
    hashed: bool
    groups: tuple[GroupName, ...]

    @property
    def key(self) -> Key:
        """The name, to compare."""
        return key_of(self.name)


@attrs.frozen(order=True)
class Problem:
    """What is wrong with a line. It never shows the line: a password may be in any place of it."""

    number: int
    text: str


def parse(
    text: str, reserved: Container[Key] = RESERVED
) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
    """Read a members file: the lines that count, and what is wrong with the others.

    Of two lines for one person, or for two names that look alike, the first counts. A group's name
    that can't be one is told, and is all that doesn't count of its line.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    lines_of: dict[Key, int] = {}
    alike: dict[str, Entry] = {}
    for number, line in enumerate(text.removeprefix(_BOM).split("\n"), 1):
        words = _WORD.findall(line.rstrip("\r"))
        if not words or words[0].startswith("#"):
            continue
        try:
            entry, bad_groups = _entry(number, words, reserved)
            if entry.key in lines_of:
                raise BadName(f"{entry.name} is in line {lines_of[entry.key]} already.")
            other = alike.setdefault(skeleton_of(entry.name), entry)
            if other is not entry:
                raise BadName(f"{entry.name} looks like {other.name} in line {other.number}.")
        except ChatError as error:
            problems.append(Problem(number, str(error)))
        else:
            lines_of[entry.key] = number
            entries.append(entry)
            problems += bad_groups
    return tuple(entries), tuple(problems)


def with_hashes(text: str, hashes: Mapping[int, str]) -> str:
    """The same text with other passwords in some lines, given by their numbers."""
    lines = text.split("\n")
    for number, hashed in hashes.items():
        line = lines[number - 1]
        begin = len(_BOM) if line.startswith(_BOM) else 0
        _, password, *_ = _WORD.finditer(line.rstrip("\r"), begin)
        lines[number - 1] = line[: password.start()] + hashed + line[password.end() :]
    return "\n".join(lines)


@attrs.define(eq=False)
class MembersFile:
    """Keeps accounts and members in line with a members file.

    ``report`` takes sentences for the operator's log, each once as long as it is so. ``changed`` is
    awaited after a reading that differs from the one before; it must not wait for :meth:`look`.
    ``members`` are those who may get in now.
    """

    _path: Path
    _hashes: Hashes
    _store: Store
    _clock: Clock
    _report: Callable[[str], None]
    _changed: Changed
    _reserved: Container[Key] = RESERVED
    members: frozenset[Key] = attrs.field(default=frozenset(), init=False)
    _seen: _Stat = attrs.field(default=(), init=False)
    _stopped: bool = attrs.field(default=False, init=False)
    _in_line: bool = attrs.field(default=False, init=False)
    _told: tuple[frozenset[Key], Groups] | None = attrs.field(default=None, init=False)
    _reported: frozenset[str] = attrs.field(default=frozenset(), init=False)
    # Those who wait for the look that is under way; None where there is none.
    _waiting: list[Deferred[None]] | None = attrs.field(default=None, init=False)
    # Hashes that couldn't be written into the file, so that they need not be made again.
    _made: dict[tuple[Key, str], str] = attrs.field(factory=dict, init=False, repr=False)
    _regular: LoopingCall = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        clock: Any = self._clock
        self._regular = LoopingCall(self._look_and_log)
        self._regular.clock = clock

    def start(self, seconds: float) -> None:
        """Look now, and again every so many seconds."""
        self._regular.start(seconds, now=True)

    def stop(self) -> None:
        """Look no more by itself. A look that is under way goes on, and changes nobody's place."""
        self._stopped = True
        if self._regular.running:
            self._regular.stop()

    async def look(self) -> None:
        """Take over what has changed in the file since the last look.

        Where a look is under way it is waited for. A line that was saved before the call counts
        after it; what store or hashing refused is for the next of the regular looks.
        """
        await self._look(again=False)

    async def set_password(self, key: Key, hashed: str) -> None:
        """Put the new hash of a member's password into the file, or the old one would come back.

        A plain password in the file stays: the operator has just written it there.
        """
        await self._turn()
        try:
            text = _decoded(self._read()[0])
            entries, _ = parse(text, self._reserved)
            own = [entry.number for entry in entries if entry.key == key and entry.hashed]
            if own:
                self._replace(with_hashes(text, dict.fromkeys(own, hashed)))
        except (Unreadable, OSError) as error:
            self._report(f"{self._path}: {_why(error)}; it keeps the old password of {key}")

    async def _look(self, *, again: bool) -> None:
        """Look; ``again`` also where the file is as it was but not all of it was taken over."""
        await self._turn()
        now = self._stat()
        if now == self._seen and (self._in_line or not again):
            return
        self._waiting, self._in_line, self._seen = [], False, now
        try:
            self._in_line = await self._take_over()
        except Unreadable as error:
            self._say([f"{self._path}: {error}; the members stay as they were"])
        finally:
            self._next_turn()

    async def _turn(self) -> None:
        """Wait until no look is under way."""
        while self._waiting is not None:
            turn: Deferred[None] = Deferred()
            self._waiting.append(turn)
            await turn

    def _next_turn(self) -> None:
        waiting, self._waiting = self._waiting, None
        for turn in waiting or ():
            turn.callback(None)

    async def _look_and_log(self) -> None:
        try:
            await self._look(again=True)
        except Exception:  # noqa: BLE001 (a mistake of ours: the next look may do better)
            _log.failure("the members file was not looked at")

    async def _take_over(self) -> bool:
        """Bring everything in line with the file; False where some of it is for another time."""
        entries, refusals = await self._hashed()
        found: dict[Key, Account] = {}
        for entry in entries:
            account = await self._account(entry, refusals)
            if account is not None:
                found[entry.key] = account
        groups: dict[Key, dict[Key, Name]] = {}
        for entry in entries:
            if entry.key in found:
                for group in entry.groups:
                    of_group = groups.setdefault(key_of(group), {})
                    of_group[entry.key] = found[entry.key].name
        self.members = frozenset(found)
        now = self.members, {group: tuple(names.values()) for group, names in groups.items()}
        if now != self._told and not self._stopped:
            try:
                await self._changed(*now)
                self._told = now
            except ChatError as error:
                refusals.postpone(0, error)
        self._say(refusals.sentences(self._path))
        return not refusals.later

    async def _hashed(self) -> tuple[list[Entry], "_Refusals"]:
        """The file's lines with their hashes, which are in the file from now on."""
        while True:
            data, self._seen = self._read()
            text = _decoded(data)
            entries, problems = parse(text, self._reserved)
            refusals = _Refusals(list(problems))
            hashes: dict[int, str] = {}
            counting: list[Entry] = []
            for entry in entries:
                if not entry.hashed:
                    hashed = await self._hash(entry, refusals)
                    if hashed is None:
                        continue
                    if hashed:
                        hashes[entry.number] = hashed
                        entry = attrs.evolve(entry, password=hashed, hashed=True)
                counting.append(entry)
            # An editor may have saved the file while that took its time: nothing between this
            # look at it and the rename may wait.
            if not hashes or self._read() == (data, self._seen):
                break
        try:
            if hashes:
                self._seen = self._replace(with_hashes(text, hashes))
            self._made.clear()
        except OSError as error:
            refusals.lines.append(Problem(0, f"{_why(error)}; it keeps its plain passwords"))
            refusals.later = True
        return counting, refusals

    async def _hash(self, entry: Entry, refusals: "_Refusals") -> str | None:
        """The hash of a plain password, "" where it isn't made yet, None where it can't be."""
        made, of_whom = self._made, (entry.key, entry.password)
        if of_whom not in made:
            try:
                made[of_whom] = await self._hashes.hash(entry.password)
            except BadPassword as error:
                refusals.lines.append(Problem(entry.number, str(error)))
                return None
            except ChatError as error:
                refusals.postpone(entry.number, error)
                return ""
        return made[of_whom]

    async def _account(self, entry: Entry, refusals: "_Refusals") -> Account | None:
        """The account of a line, brought in line with it; None where there can't be one."""
        store, account = self._store, await self._store.account(entry.key)
        before = account if entry.key in self.members else None
        if not entry.hashed:
            return before
        try:
            if account is None:
                account = await store.add_account(self._new(entry))
            elif account.password != entry.password:
                await store.set_password(account, entry.password)
            if entry.mail is not None and account.mail != entry.mail:
                await store.set_mail(account, entry.mail)
        except NameTaken:
            # The line's own account would have been found: this is one that isn't in the file.
            text = f"{entry.name} looks like the name of another account."
            refusals.lines.append(Problem(entry.number, text))
        except BadMail as error:
            refusals.lines.append(Problem(entry.number, str(error)))
        except ChatError as error:
            refusals.postpone(entry.number, error)
            return before
        return account

    def _new(self, entry: Entry) -> Account:
        # Without its mail, so that a mail that somebody has doesn't keep the person out.
        now, skeleton = self._clock.seconds(), skeleton_of(entry.name)
        return Account(
            0, entry.key, entry.name, skeleton, None, entry.password, Role.USER, now, None
        )

    def _say(self, sentences: Iterable[str]) -> None:
        """Report what has not been reported by the look before."""
        now = dict.fromkeys(sentences)
        before, self._reported = self._reported, frozenset(now)
        for sentence in now:
            if sentence not in before:
                self._report(sentence)

    # The file.

    def _stat(self) -> _Stat:
        try:
            return _state(self._path.stat())
        except OSError:
            return None

    def _read(self) -> tuple[bytes, _Stat]:
        """The file's bytes and state.

        Raises:
            Unreadable: there are none.
        """
        try:
            with open(self._path, "rb", opener=_open_at_once) as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise Unreadable("it is not a file")
                if found.st_size > _LARGEST:
                    raise Unreadable("it is larger than 10 MiB")
                data = file.read(_LARGEST)
        except OSError as error:
            raise Unreadable(_why(error)) from None
        if not data:
            # What an editor is about to save has been emptied a moment ago.
            raise Unreadable("it is empty (a comment in it would do to let nobody in)")
        return data, _state(found)

    def _replace(self, text: str) -> _Stat:
        """Put another text in the place of the file, whole or not at all; return its state.

        Raises:
            OSError: it can't be written, or not as its owner's.
        """
        path = self._path.resolve()  # where the file is a link, what it leads to
        new = path.with_name(f".{path.name}.new")
        owner = path.stat()
        try:
            new.unlink(missing_ok=True)  # of a chatd that crashed
            number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(number, "wb") as file:
                os.fchown(number, owner.st_uid, owner.st_gid)
                file.write(text.encode(errors="surrogateescape"))
                file.flush()
                os.fsync(number)
                new.replace(path)
                return _state(os.fstat(number))
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise


@attrs.define
class _Refusals:
    """What is wrong with lines; ``later`` where another look may find it right."""

    lines: list[Problem]
    later: bool = False

    def postpone(self, number: int, error: ChatError) -> None:
        """Note a refusal that isn't the line's fault."""
        self.lines.append(Problem(number, f"not taken over yet: {error}"))
        self.later = True

    def sentences(self, path: Path) -> list[str]:
        """What to tell the operator; line 0 is the file itself."""
        return [
            f"{path}, line {one.number}: {one.text}" if one.number else f"{path}: {one.text}"
            for one in sorted(self.lines)
        ]


def _entry(number: int, words: list[str], reserved: Container[Key]) -> tuple[Entry, list[Problem]]:
    if any("\ud800" <= character <= "\udfff" for word in words for character in word):
        raise BadName("It is not UTF-8 text.")
    who, *rest = words
    mail = _mail(who) if "@" in who else None
    name = read_name(who if mail is None else _as_name(who))
    check_free(name, reserved)
    if not rest:
        raise BadPassword("It has no password.")
    password, *named = rest
    hashed = password.startswith(_SCHEME)
    if hashed and not _HASH.fullmatch(password):
        raise BadPassword("Its hash is damaged; write a new password in its place.")
    groups: dict[Key, GroupName] = {}
    problems: list[Problem] = []
    for word in named:
        try:
            group = read_group_name(word)
        except BadName as error:
            problems.append(Problem(number, str(error)))
        else:
            groups.setdefault(key_of(group), group)
    return Entry(number, name, mail, password, hashed, tuple(groups.values())), problems


def _mail(address: str) -> str:
    name, _, host = address.rpartition("@")
    if not name or "." not in host or len(address) > _LONGEST_MAIL or clean(address) != address:
        raise BadMail("That is not a mail address.")
    return address.casefold()


def _as_name(address: str) -> str:
    """What a person with that mail address may be called, as near to it as names allow."""
    local = address.rpartition("@")[0]
    allowed = "".join(c if c.isalnum() or c in "_-." else "_" for c in local)
    return re.sub(r"^[\W\d_]+", "", allowed)[:LONGEST]


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _decoded(data: bytes) -> str:
    # So that every byte that isn't UTF-8 comes back as it was.
    return data.decode(errors="surrogateescape")


def _state(found: os.stat_result) -> _Stat:
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _open_at_once(path: str, flags: int) -> int:
    # A pipe would otherwise hold the whole server until somebody writes to it.
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
