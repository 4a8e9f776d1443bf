"""The members file: what its lines mean, and how accounts and members follow it."""

import os
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path

import attrs
import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from chatd.auth import Bcrypt
from chatd.domain.errors import BadPassword, ChatError, NotStored, TooBusy
from chatd.domain.names import GroupName, Key, Name, skeleton_of
from chatd.domain.records import Account, Role
from chatd.members import Entry, Groups, MembersFile, Problem, parse, with_hashes
from tests.conftest import LoggedErrors
from tests.fakes import MemoryStore, result_of, spawn
from tests.threads import in_reactor, soon

EVERY = 5.0
"""Seconds between the regular looks."""

Members = tuple[Set[str], Mapping[str, tuple[str, ...]]]
"""Who the members are, and who is in each group."""


def hash_of(password: str, cost: int = 4) -> str:
    """What the fake makes of a password, in the form of a real hash."""
    return f"chatd1:$2b${cost:02}${password:.<53}"


@attrs.define(eq=False)
class FakeHashes:
    """Hashes at once, or when told to where ``slow``; ``error`` is raised instead."""

    slow: bool = False
    error: Exception | None = None
    made: list[str] = attrs.field(factory=list)
    waiting: list[Deferred[None]] = attrs.field(factory=list)

    async def hash(self, password: str) -> str:
        """As Bcrypt."""
        if len(password) < 4:
            raise BadPassword("A password has at least 4 characters.")
        if self.error is not None:
            raise self.error
        if self.slow:
            self.waiting.append(Deferred())
            await self.waiting[-1]
        self.made.append(password)
        return hash_of(password)

    def proceed(self) -> None:
        """Let the slow one go on."""
        self.waiting.pop().callback(None)


@attrs.define(eq=False)
class FullStore(MemoryStore):
    """A store whose disk may be full."""

    full: bool = False

    def add_account(self, account: Account) -> Deferred[Account]:
        """As SqlStore."""
        return fail(NotStored()) if self.full else MemoryStore.add_account(self, account)

    def set_password(self, account: Account, password: str) -> Deferred[None]:
        """As SqlStore."""
        if self.full:
            return fail(NotStored())
        return MemoryStore.set_password(self, account, password)


@attrs.define(eq=False)
class Place:
    """A directory with a members file, and all that follows from it."""

    path: Path
    clock: Clock
    store: FullStore = attrs.field(factory=FullStore)
    hashes: FakeHashes = attrs.field(factory=FakeHashes)
    reports: list[str] = attrs.field(factory=list)
    changes: list[Members] = attrs.field(factory=list)
    refusal: Exception | None = None
    file: MembersFile = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A chatd that knows nothing but what is stored."""
        self.file = MembersFile(
            self.path, self.hashes, self.store, self.clock, self.reports.append, self.changed
        )

    async def changed(self, members: frozenset[Key], groups: Groups) -> None:
        """Note a change, or refuse it."""
        if self.refusal is not None:
            raise self.refusal
        self.changes.append((members, {str(group): names for group, names in groups.items()}))

    def write(self, text: str) -> None:
        """Save the file as editors do: another file in its place."""
        new = self.path.with_name("saved")
        new.write_bytes(text.encode())
        new.replace(self.path)

    def read(self) -> str:
        """What is in the file."""
        return self.path.read_bytes().decode()

    def look(self, text: str | None = None) -> None:
        """Save the file, if there is a text for it, and look at it."""
        if text is not None:
            self.write(text)
        result_of(self.file.look())

    def passwords(self) -> dict[str, str]:
        """Who has which password."""
        return {account.name: account.password for account in self.store.accounts.values()}

    def told(self) -> list[str]:
        """What was reported since this was last asked, without the file's path."""
        told, self.reports[:] = list(self.reports), []
        return [text.replace(str(self.path), "FILE") for text in told]


@pytest.fixture
def place(tmp_path: Path, clock: Clock) -> Iterator[Place]:
    """A members file that nobody has written yet."""
    made = Place(tmp_path / "members.txt", clock)
    yield made
    made.file.stop()


def account(name: str, password: str = "old", mail: str | None = None, number: int = 1) -> Account:
    """An account as it is in the store."""
    shown = Name(name)
    key = Key(name.casefold())
    return Account(number, key, shown, skeleton_of(shown), mail, password, Role.USER, 0.0, None)


# What is in a file.


def test_every_line_is_a_person() -> None:
    """A line is a name, a password and groups; blank lines and comments are nobody."""
    text = f"# ours\n\n  # more\nalice secret\r\n\tbob\t{hash_of('x')}  team 2nd team TEAM\n \t\n"
    assert parse(text) == (
        (
            Entry(4, Name("alice"), None, "secret", False, ()),
            Entry(5, Name("bob"), None, hash_of("x"), True, (GroupName("team"), GroupName("2nd"))),
        ),
        (),
    )


@pytest.mark.parametrize(
    ("address", "name", "mail"),
    [
        ("bob@example.org", "bob", "bob@example.org"),
        ("Bob.Smith+chat@Example.org", "Bob.Smith_chat", "bob.smith+chat@example.org"),
        ("42_bob@example.org", "bob", "42_bob@example.org"),
        (f"{'b' * 40}@example.org", "b" * 32, f"{'b' * 40}@example.org"),
    ],
)
def test_a_mail_address_gives_a_name(address: str, name: str, mail: str) -> None:
    """Who is written down by mail address is called by what stands before the @."""
    assert parse(f"{address} secret") == ((Entry(1, Name(name), mail, "secret", False, ()),), ())


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("bob", "It has no password."),
        ("4bob secret", "A name begins with a letter."),
        ("b\udcffb secret", "It is not UTF-8 text."),
        ("server secret", "server is a reserved word, please choose another name."),
        ("bob@example secret", "That is not a mail address."),
        ("@example.org secret", "That is not a mail address."),
        ("b\x07b@example.org secret", "That is not a mail address."),
        (f"{'b' * 250}@example.org secret", "That is not a mail address."),
        ("1@example.org secret", "A name has 1 to 32 characters."),
        ("bob chatd1:$2b$04$cut", "Its hash is damaged; write a new password in its place."),
        ("ALICE other", "alice is in line 1 already."),
        ("alice@example.org other", "alice is in line 1 already."),
        ("a1ice other", "a1ice looks like alice in line 1."),
    ],
)
def test_a_mistake_costs_only_its_own_line(line: str, wrong: str) -> None:
    """A line that can't be right is told by its number, and the others count."""
    entries, problems = parse(f"alice secret\n{line}\ncarol secret\n")
    assert [entry.name for entry in entries] == ["alice", "carol"]
    wrong = wrong.replace("alice is", "ALICE is") if line.startswith("ALICE") else wrong
    assert problems == (Problem(2, wrong),)


def test_a_group_that_is_none_is_left_out() -> None:
    """A group's name that can't be one costs its place, not the person's."""
    entries, problems = parse("bob secret @team friends")
    assert entries == (Entry(1, Name("bob"), None, "secret", False, (GroupName("friends"),)),)
    assert problems == (Problem(1, "A group's name begins with a letter."),)


def test_a_byte_order_mark_belongs_to_nobody() -> None:
    """A file that was saved with a byte order mark is read, and keeps it."""
    text = "\ufeff bob secret\n"
    assert parse(text) == ((Entry(1, Name("bob"), None, "secret", False, ()),), ())
    assert with_hashes(text, {1: "HASH"}) == "\ufeff bob HASH\n"


def test_a_password_is_not_shown_with_its_line() -> None:
    """What ends up in a log when a line is printed has no password in it."""
    (entry,), _ = parse("bob secret")
    assert "secret" not in repr(entry)


@in_reactor
async def test_what_bcrypt_makes_counts_as_a_hash(hashing: Bcrypt) -> None:
    """The hashes that the server writes into the file are taken for what they are."""
    made = await soon(hashing.hash("secret"))
    assert parse(f"bob {made}") == ((Entry(1, Name("bob"), None, made, True, ()),), ())


# From the file to accounts and members.


def test_new_lines_are_new_members(place: Place) -> None:
    """Whoever is in the file has an account with that password, that mail and those groups."""
    place.clock.advance(7)
    place.look(f"bob@Example.org secret team\nalice {hash_of('hers')} team friends\n")
    assert place.file.members == {"bob", "alice"}
    assert place.changes == [
        ({"bob", "alice"}, {"team": ("bob", "alice"), "friends": ("alice",)}),
    ]
    bob = account("bob", hash_of("secret"), "bob@example.org")
    alice = account("alice", hash_of("hers"), number=2)
    assert list(place.store.accounts.values()) == [
        attrs.evolve(bob, created=7.0),
        attrs.evolve(alice, created=7.0),
    ]
    assert place.told() == []


def test_only_the_password_is_changed_in_the_file(place: Place) -> None:
    """Comments, order, spacing, line ends and bytes that are no text stay as they are."""
    before = (
        b"\xef\xbb\xbf# \xff ours\r\n\r\n  bob \t secret   team \r\n#alice secret\ncarol secret"
    )
    place.path.write_bytes(before)
    place.look()
    hashed = hash_of("secret").encode()
    assert place.path.read_bytes() == (
        b"\xef\xbb\xbf# \xff ours\r\n\r\n  bob \t "
        + hashed
        + b"   team \r\n#alice secret\ncarol "
        + hashed
    )


def test_the_file_is_for_its_owner_alone(place: Place) -> None:
    """The file with the hashes has the old one's owner, and nobody else may read it."""
    place.write("bob secret\n")
    place.path.chmod(0o644)
    owner = os.geteuid() or 12345  # only root can give a file away
    os.chown(place.path, owner, -1)
    place.look()
    found = place.path.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (owner, 0o600)
    assert os.listdir(place.path.parent) == ["members.txt"]


def test_what_a_crash_left_behind_is_in_nobodys_way(place: Place) -> None:
    """A half-written file of a server that crashed is replaced."""
    place.path.with_name(".members.txt.new").write_text("bob chat")
    place.look("bob secret\n")
    assert place.read() == f"bob {hash_of('secret')}\n"
    assert place.told() == []


def test_a_link_stays_a_link(place: Place, tmp_path: Path) -> None:
    """Where the file is a link, what it leads to is rewritten."""
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "people"
    real.write_text("bob secret\n")
    place.path.symlink_to(real)
    place.look()
    assert place.path.is_symlink()
    assert real.read_text() == f"bob {hash_of('secret')}\n"


def test_a_file_that_stays_the_same_is_not_read(place: Place) -> None:
    """Looking again costs nothing, and changes nothing that people have changed since."""
    place.look("bob secret\n")
    (bob,) = place.store.accounts.values()
    place.store.accounts[bob.key] = attrs.evolve(bob, password="his own")
    place.look()
    assert place.passwords() == {"bob": "his own"}
    assert len(place.changes) == 1


def test_a_removed_line_ends_the_membership(place: Place) -> None:
    """Who is taken out of the file is no member any more, and keeps the account."""
    place.look("bob secret team\nalice secret team\n")
    place.look(place.read().partition("\n")[2])
    assert place.file.members == {"alice"}
    assert place.changes[1:] == [({"alice"}, {"team": ("alice",)})]
    assert set(place.passwords()) == {"bob", "alice"}


def test_all_may_be_removed(place: Place) -> None:
    """A file with nothing but a comment lets nobody in."""
    place.look("bob secret\n")
    place.look("# nobody\n")
    assert place.changes[1:] == [(set(), {})]


def test_what_changes_nothing_is_not_told(place: Place) -> None:
    """A comment more, or another password, is no change of the members."""
    place.look("bob secret\n")
    place.look("# a comment\nbob other\n")
    assert place.passwords() == {"bob": hash_of("other")}
    assert len(place.changes) == 1


def test_an_account_that_was_there_becomes_a_member(place: Place) -> None:
    """Somebody with an account keeps it, under the name it has, with the file's password."""
    place.store.accounts[Key("bob")] = account("Bob", "old", "old@example.org")
    place.look("bob secret team\n")
    assert place.store.accounts == {
        "bob": account("Bob", hash_of("secret"), "old@example.org"),
    }
    assert place.changes == [({"bob"}, {"team": ("Bob",)})]


def test_a_name_like_that_of_an_account_is_refused(place: Place) -> None:
    """A person whose name looks like that of an account outside the file is no member."""
    place.store.accounts[Key("alice")] = account("alice")
    place.look("bob secret\na1ice secret\n")
    assert place.file.members == {"bob"}
    assert place.told() == ["FILE, line 2: a1ice looks like the name of another account."]


def test_a_mail_address_that_somebody_has_is_refused(place: Place) -> None:
    """The person of a line gets in, but not with a mail address that is another account's."""
    place.store.accounts[Key("alice")] = account("alice", mail="bob@example.org")
    place.look("bob@example.org secret\n")
    assert place.file.members == {"bob"}
    assert place.store.accounts[Key("bob")].mail is None
    assert place.told() == ["FILE, line 1: That address belongs to another account."]


def test_a_password_that_can_be_none_is_told(place: Place) -> None:
    """A password that is too short lets nobody in and stays as it is."""
    place.look("bob abc\nalice secret\n")
    assert place.file.members == {"alice"}
    assert place.told() == ["FILE, line 1: A password has at least 4 characters."]
    assert place.read() == f"bob abc\nalice {hash_of('secret')}\n"


def test_a_mistake_is_told_once(place: Place) -> None:
    """What is wrong is reported again only when it has been right, or is new."""
    place.look("alice secret\nbob\n")
    assert place.told() == ["FILE, line 2: It has no password."]
    place.look(f"{place.read()}4carol secret\n")
    assert place.told() == ["FILE, line 3: A name begins with a letter."]
    place.look("alice secret\nbob secret\n")
    assert place.told() == []
    place.look("alice secret\nbob\n")
    assert place.told() == ["FILE, line 2: It has no password."]


# A file that can't be read.


def vanish(path: Path) -> None:
    """Remove the file."""
    path.unlink()


def be_directory(path: Path) -> None:
    """Put a directory in its place."""
    path.unlink()
    path.mkdir()


def be_pipe(path: Path) -> None:
    """Put a pipe in its place that nobody writes to."""
    path.unlink()
    os.mkfifo(path)


def be_loop(path: Path) -> None:
    """Put a link that leads to itself in its place."""
    path.unlink()
    path.symlink_to(path)


def be_huge(path: Path) -> None:
    """Make it larger than any members file."""
    os.truncate(path, 10 * 1024 * 1024 + 1)


def be_empty(path: Path) -> None:
    """Empty it, as some editors do before they write."""
    os.truncate(path, 0)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (vanish, "No such file or directory"),
        (be_directory, "Is a directory"),
        (be_pipe, "it is not a file"),
        (be_loop, "Too many levels of symbolic links"),
        (be_huge, "it is larger than 10 MiB"),
        (be_empty, "it is empty (a comment in it would do to let nobody in)"),
    ],
)
def test_an_unreadable_file_keeps_the_members(
    place: Place, spoil: Callable[[Path], None], why: str
) -> None:
    """As long as the file can't be read the members stay, which the operator is told once."""
    place.look("bob secret\n")
    place.file.start(EVERY)
    spoil(place.path)
    place.clock.advance(EVERY)
    place.clock.advance(EVERY)
    place.look()
    assert place.file.members == {"bob"}
    assert place.told() == [f"FILE: {why}; the members stay as they were"]
    if place.path.is_dir():
        place.path.rmdir()
    place.look("alice secret\n")
    assert place.changes == [({"bob"}, {}), ({"alice"}, {})]


def test_a_file_that_never_was_lets_nobody_in(place: Place) -> None:
    """Without a file there are no members, which the operator is told."""
    place.look()
    assert place.file.members == set()
    assert place.changes == []
    assert place.told() == ["FILE: No such file or directory; the members stay as they were"]


# While passwords are hashed.


def test_an_edit_during_the_hashing_is_not_lost(place: Place) -> None:
    """What an editor saves while a password is hashed is read, and no hash is made twice."""
    place.hashes.slow = True
    place.write("bob secret\n")
    spawn(place.file.look())
    place.write("# edited\ncarol other\nbob secret\n")
    place.hashes.proceed()
    assert place.read() == "# edited\ncarol other\nbob secret\n"
    place.hashes.proceed()
    assert place.read() == f"# edited\ncarol {hash_of('other')}\nbob {hash_of('secret')}\n"
    assert place.changes == [({"bob", "carol"}, {})]
    assert place.hashes.made == ["secret", "other"]


def test_a_file_removed_during_the_hashing_stays_away(place: Place) -> None:
    """A file that vanishes while a password is hashed is not made again."""
    place.hashes.slow = True
    place.write("bob secret\n")
    spawn(place.file.look())
    place.path.unlink()
    place.hashes.proceed()
    assert not place.path.exists()
    assert place.changes == []
    assert place.told() == ["FILE: No such file or directory; the members stay as they were"]


def test_all_wait_for_the_look_that_is_under_way(place: Place) -> None:
    """Who looks while a password is hashed goes on when that is done; it is hashed once."""
    place.hashes.slow = True
    place.write("bob secret\n")
    seen: list[frozenset[Key]] = []

    async def look() -> None:
        await place.file.look()
        seen.append(place.file.members)

    for _ in range(2000):
        spawn(look())
    assert seen == []
    place.hashes.proceed()
    assert seen == [{"bob"}] * 2000
    assert place.hashes.made == ["secret"]


def test_who_waited_finds_what_was_saved_meanwhile(place: Place) -> None:
    """A line added while the file before it is taken over lets its person in at that login."""
    place.write("bob secret\n")
    waits: Deferred[None] = Deferred()

    async def changed(members: frozenset[Key], groups: Groups) -> None:
        await place.changed(members, groups)
        if len(place.changes) == 1:
            await waits

    place.file = MembersFile(
        place.path, place.hashes, place.store, place.clock, place.reports.append, changed
    )
    spawn(place.file.look())
    place.write("bob secret\nalice secret\n")
    logins = [spawn(place.file.look()), spawn(place.file.look())]
    waits.callback(None)
    assert [login.called for login in logins] == [True, True]
    assert place.file.members == {"bob", "alice"}
    assert len(place.changes) == 2


# What is for another time.


@pytest.mark.parametrize("error", [TooBusy("Many are logging in."), NotStored()])
def test_what_is_refused_is_tried_again(place: Place, error: ChatError) -> None:
    """Where hashing or store are overloaded, removals count at once and the rest comes later."""
    place.look("alice secret\ncarol secret\ndave secret\n")
    place.file.start(EVERY)
    before = place.passwords()
    if isinstance(error, TooBusy):
        place.hashes.error = error
    else:
        place.store.full = True
    place.look("alice another\nbob secret\ncarol another\n")
    assert place.file.members == {"alice", "carol"}
    place.clock.advance(EVERY)
    assert place.passwords() == before
    assert place.told() == [f"FILE, line {n}: not taken over yet: {error}" for n in (1, 2, 3)]
    place.hashes.error, place.store.full = None, False
    place.look()
    assert place.file.members == {"alice", "carol"}
    place.clock.advance(EVERY)
    assert place.file.members == {"alice", "bob", "carol"}
    assert place.passwords() == before | {
        "alice": hash_of("another"),
        "bob": hash_of("secret"),
        "carol": hash_of("another"),
    }
    assert place.told() == []


def test_nobody_gets_in_with_a_password_of_long_ago(place: Place) -> None:
    """Who comes back with a new password waits for it to be hashed: the old one is of no use."""
    place.store.accounts[Key("bob")] = account("bob")
    place.hashes.error = TooBusy("Many are logging in.")
    place.look("bob secret\n")
    assert place.file.members == set()


def test_a_refused_change_is_told_again(place: Place) -> None:
    """Where the groups could not be stored, the next regular look brings them again."""
    place.refusal = NotStored()
    place.write("bob secret\n")
    place.file.start(EVERY)
    assert place.told() == [f"FILE: not taken over yet: {NotStored()}"]
    place.refusal = None
    place.clock.advance(EVERY)
    assert place.changes == [({"bob"}, {})]


def test_a_file_that_cannot_be_written_keeps_its_passwords(place: Place) -> None:
    """The members count all the same; it is told once, tried again, and nothing hashed twice."""
    obstacle = place.path.with_name(".members.txt.new")
    obstacle.mkdir()
    place.write("bob secret\n")
    place.file.start(EVERY)
    place.clock.advance(EVERY)
    assert place.told() == ["FILE: Is a directory; it keeps its plain passwords"]
    assert place.file.members == {"bob"}
    assert place.read() == "bob secret\n"
    obstacle.rmdir()
    place.clock.advance(EVERY)
    assert place.read() == f"bob {hash_of('secret')}\n"
    assert place.hashes.made == ["secret"]


# Looking regularly.


def test_the_file_is_looked_at_regularly(place: Place) -> None:
    """Without any login, a line removed ends the membership after a while; stop ends the looks."""
    place.write("bob secret\n")
    place.file.start(EVERY)
    assert place.file.members == {"bob"}
    place.write("# nobody\n")
    place.clock.advance(EVERY - 1)
    assert place.file.members == {"bob"}
    place.clock.advance(1)
    assert place.file.members == set()
    place.file.stop()
    place.write("bob secret\n")
    place.clock.advance(EVERY)
    assert place.file.members == set()


def test_a_look_that_is_under_way_at_the_stop(place: Place) -> None:
    """A file that counts no longer puts nobody out, even if it was just being read."""
    place.hashes.slow = True
    place.write("bob secret\n")
    place.file.start(EVERY)
    place.file.stop()
    place.hashes.proceed()
    assert place.changes == []


def test_a_mistake_of_the_program_does_not_end_the_looks(
    place: Place, logged_errors: LoggedErrors
) -> None:
    """An error that is no refusal is logged, and the next look tries again."""
    place.refusal = ZeroDivisionError()
    place.write("bob secret\n")
    place.file.start(EVERY)
    (error,) = logged_errors.flush()
    assert error["log_failure"].check(ZeroDivisionError)
    place.refusal = None
    place.clock.advance(EVERY)
    assert place.changes == [({"bob"}, {})]


# A password that its owner changes.


def test_a_password_of_ones_own_is_in_the_file_too(place: Place) -> None:
    """Who changes a password while connected has it still when the server starts again."""
    place.look("alice secret\nbob secret team\n")
    bob = place.store.accounts[Key("bob")]
    place.store.set_password(bob, hash_of("mine"))
    result_of(place.file.set_password(bob.key, hash_of("mine")))
    place.restart()
    place.look()
    assert place.read() == f"alice {hash_of('secret')}\nbob {hash_of('mine')} team\n"
    assert place.passwords() == {"alice": hash_of("secret"), "bob": hash_of("mine")}


def test_what_the_operator_has_just_written_stays(place: Place) -> None:
    """A plain password in the file is newer than the one that its owner has just changed."""
    place.write("bob secret\n")
    result_of(place.file.set_password(Key("bob"), hash_of("mine")))
    assert place.read() == "bob secret\n"


def test_a_password_that_could_not_be_written_is_told(place: Place) -> None:
    """The operator is told where the file keeps an old password."""
    result_of(place.file.set_password(Key("bob"), hash_of("mine")))
    assert place.told() == ["FILE: No such file or directory; it keeps the old password of bob"]
    place.look("bob secret\n")
    place.path.with_name(".members.txt.new").mkdir()
    result_of(place.file.set_password(Key("bob"), hash_of("mine")))
    assert place.told() == ["FILE: Is a directory; it keeps the old password of bob"]
