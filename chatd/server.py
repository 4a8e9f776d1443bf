"""The chat server: everything that runs, wired together, started and stopped.

The rule: whoever needs something of another part is handed it here, and reads no configuration.
"""

import sys
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from chatd import __version__
from chatd.audit import AuditFile
from chatd.auth import Bcrypt, PortalPasswords
from chatd.commands import TABLE
from chatd.config import ANYWHERE, Config
from chatd.domain.events import Place
from chatd.domain.hub import Hub
from chatd.domain.limits import Gate, Lockout
from chatd.domain.names import RESERVED, Key, Name, key_of, read_channel_name
from chatd.domain.records import Role
from chatd.domain.rooms import Channel
from chatd.domain.roster import MemoryRoster
from chatd.domain.rules import Rules
from chatd.domain.session import LINGER
from chatd.domain.transfers import FileRules, Files
from chatd.doors.openings import Openings, Way, ways_of
from chatd.doors.reception import ListenError, Reception
from chatd.journal import StoreJournal
from chatd.logs import LogError, LogFile, note
from chatd.members import MembersFile
from chatd.pruning import Pruning
from chatd.rehash import Rehash
from chatd.scan import Scanner
from chatd.spool import DiskSpool, SpoolError
from chatd.stats import stats_of
from chatd.store.files import StoreError, open_database, state_directory
from chatd.store.sql import SqlStore

_log = Logger()
_incidents = count(1)

_MEMBERS_SECONDS: Final = 2
_AUDIT: Final = "audit.jsonl"
_FILES: Final = "files"
_TICKET_BYTES: Final = 16
_MAPPED: Final = "::ffff:"  # before an address of IPv4 that has come to a port of IPv6


class ChatService(MultiService):
    """Everything that runs: store, passwords, hub, journal, doors, clean-up.

    ``reactor`` gives time, threads and sockets. It all starts in :meth:`startService`, the store
    before the doors, so that nobody gets in before everything is there; a part that can't start is
    told in one line, and ends the process with status 1.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,
        read: Callable[[], Config] | None = None,
        *,
        log: LogFile | None = None,
    ) -> None:
        MultiService.__init__(self)
        self.config = config
        self._read = read or (lambda: config)
        self._reactor = reactor
        self._log = log
        self._since = 0.0
        self._audit: AuditFile
        self.hub: Hub
        self.journal: StoreJournal
        self._store: SqlStore
        self._bcrypt: Bcrypt
        self._lockout: Lockout
        self._gate: Gate
        self._spool: DiskSpool
        self._scanner: Scanner
        self._pruning: Pruning
        self._members: MembersFile | None = None

    def startService(self) -> None:
        """Open the store and the doors, or say why not and exit."""
        try:
            self._open()
            MultiService.startService(self)
        except (StoreError, SpoolError, ListenError, LogError) as error:
            _log.error("can't start: {why}", why=str(error))
            # twistd has put its log in the place of sys.stderr.
            print(f"chatd can't start: {error}", file=sys.__stderr__, flush=True)
            raise SystemExit(1) from None
        self._since = self._reactor.seconds()
        self._pruning.start()
        if self._members is not None:
            self._members.start(_MEMBERS_SECONDS)
        self._reactor.callWhenRunning(self._ready)

    async def rehash(self) -> tuple[str, ...]:
        """Read the configuration again, apply it, and say what is different.

        Raises:
            BadConfiguration: it has mistakes; nothing was changed.
        """
        return await self._rehash.run()

    async def _stop(self) -> None:
        await self._rehash.stop()
        await self.openings.stopService()
        await self.hub.close("The server is stopping. Goodbye.")
        await self.journal.drained()
        await self.hub.mail.settle()
        await self._all_gone()
        self._pruning.stop()
        if self._members is not None:
            self._members.stop()
        self._lockout.stop()
        self._bcrypt.stop()
        await self._spool.stop()
        self._store.stop()
        _log.info("chatd has stopped; everything that was accepted is stored")

    def stopService(self) -> Deferred[Any]:
        """Say goodbye to everyone, store what was accepted, close."""
        return Deferred.fromCoroutine(self._stop())

    def _open(self) -> None:
        config, reactor = self.config, self._reactor
        self._state = state = state_directory(config.state)
        if self._log is not None:
            self._log.open(state)
        self._store = store = SqlStore.start(open_database(config.store.url, state), reactor)
        limits, accounts = config.limits, config.accounts
        self._lockout = Lockout(
            reactor, accounts.lockout_tries, accounts.lockout_seconds, store.save_tries
        )
        self._lockout.restore(store.tries())
        self._bcrypt = Bcrypt.start(
            reactor, accounts.bcrypt_cost, limits.waiting_logins, accounts.password_length
        )
        self._gate = Gate(limits.connections, limits.connections_per_address)
        self._audit = AuditFile(state / _AUDIT)
        self.hub = hub = Hub(
            clock=reactor,
            rules=rules_of(config),
            roster=MemoryRoster(),
            store=store,
            passwords=PortalPasswords.behind(self._bcrypt, self._lockout, store),
            commands=TABLE,
            spawn=spawn,
            wait=partial(deferLater, reactor),
            incident=incident,
            audit=self._audit,
            log=note,
        )
        hub.server = self
        hub.sanctions.restore(*store.sanctions())
        channels = [
            Channel(read_channel_name(c.name), c.capacity, c.afk_seconds, c.history)
            for c in config.channels
        ]
        for channel in channels:
            hub.channels.open(channel)
        kept = store.open_rooms([channel.name for channel in channels if channel.keeps])
        self.journal = hub.journal = StoreJournal(
            reactor, hub, store, spawn, kept, limits.journal_bytes
        )
        hub.groups.load(store.load_groups())
        self._spool = DiskSpool.start(state / _FILES, reactor)
        self._scanner = Scanner(config.files.scan, state / _FILES, reactor)
        hub.files = Files(
            hub,
            file_rules_of(config),
            self._spool,
            partial(token_hex, _TICKET_BYTES),
            self._file_places,
            self._scanner.scan,
        )
        hub.files.load(store.transfers())
        self._pruning = Pruning(reactor, hub, store, lambda: self.config)
        if accounts.members:
            self._open_members(state / accounts.members)
        self.openings = Openings(reactor, self._reception)
        self.openings.setServiceParent(self)  # type: ignore[no-untyped-call]
        self._rehash = Rehash(config, self._read, self._follow, hub, store, self.openings)
        self.openings.open(ways_of(config, channels))

    def _follow(self, config: Config) -> None:
        """Go by the numbers of another configuration, and by its members file."""
        limits, accounts = config.limits, config.accounts
        self._gate.total, self._gate.each = limits.connections, limits.connections_per_address
        self._lockout.tries = accounts.lockout_tries
        self._lockout.seconds = accounts.lockout_seconds
        self._bcrypt.cost, self._bcrypt.shortest = accounts.bcrypt_cost, accounts.password_length
        self._bcrypt.most_waiting = limits.waiting_logins
        for opening in self.openings.ways:
            opening.reception.backlog_bytes = limits.backlog_bytes
        self.hub.go_by(rules_of(config))
        self.hub.files.rules = file_rules_of(config)
        self._scanner.command = config.files.scan
        self.journal.most = limits.journal_bytes
        self.hub.drained()  # whoever waits for the journal to have room looks again
        before, self.config = self.config, config
        if accounts.members != before.accounts.members:
            self._follow_members(accounts.members)

    def _follow_members(self, file: str) -> None:
        """Let only those in who are in another members file, or anybody where there is none."""
        if self._members is not None:
            self._members.stop()
            self._members = None
            self.hub.forget_members()
        if file:
            self._open_members(self._state / file)
            assert self._members is not None
            self._members.start(_MEMBERS_SECONDS)

    def _open_members(self, path: Path) -> None:
        """Let only those in who are in the members file, and keep the groups as it has them."""
        self._members = self.hub.members = MembersFile(
            path,
            self._bcrypt,
            self._store,
            self._reactor,
            lambda text: _log.warn("{text}", text=text),
            self.hub.keep_members,
            self.hub.rules.reserved,
        )

    def _file_places(self, host: str) -> tuple[Place, ...]:
        """Where files are taken, for somebody who has reached the chat at this address."""
        places = []
        host = host.removeprefix(_MAPPED)
        for opening in self.openings.ways:
            for entrance in opening.entrances if opening.way.kind == "files" else ():
                address = entrance.address
                if isinstance(address, IPv4Address | IPv6Address):
                    here = host or "localhost" if address.host in ANYWHERE else address.host
                    named = self.config.files.host or here
                    places.append(Place(named, address.port, entrance.has_certificate))
        return tuple(places)

    def _reception(self, way: Way) -> Reception:
        backlog = self.config.limits.backlog_bytes
        made = Reception(self.hub, self._gate, way.kind, backlog, way.channel, self._state)
        made.spool = self._spool
        return made

    def _ready(self) -> None:
        self.openings.announce(self.openings.entrances())
        _log.info("chatd {version} is ready", version=__version__)

    async def stats(self) -> dict[str, int | float]:
        """What the server counts, by name; times are in seconds."""
        return await stats_of(self.hub, self.journal, self._gate, self._since)

    def reopen(self) -> None:
        """Write to new log files, where the old ones were renamed."""
        if self._log is not None:
            self._log.reopen()
        self._audit.reopen()

    def stop(self) -> None:
        """Store everything, say goodbye to everyone and end the process with status 0."""
        if self._reactor.running:
            self._reactor.stop()

    async def _all_gone(self) -> None:
        """Wait until every client has read its last words, or has had the time to."""
        until = self._reactor.seconds() + LINGER
        while len(self._gate) and self._reactor.seconds() < until:
            await deferLater(self._reactor, 0.02)


def rules_of(config: Config) -> Rules:
    """What the hub needs to know of a configuration."""
    accounts, limits = config.accounts, config.limits
    return Rules(
        server=config.name,
        # With a members file it is the only way in.
        register=accounts.register == "open" and not accounts.members,
        guests=accounts.guests and not accounts.members,
        replace=accounts.session == "replace",
        reserved=RESERVED | {Key(word) for word in TABLE.words},
        broadcast=Role.OPERATOR if accounts.broadcast == "operators" else Role.GUEST,
        mailbox_lines=accounts.mailbox,
        groups_each=accounts.groups,
        operators=frozenset(key_of(Name(name)) for name in accounts.operators),
        login_seconds=limits.login_seconds,
        line_bytes=limits.line_bytes,
        lines_per_second=limits.lines_per_second,
        burst=limits.burst,
        waiting_requests=limits.waiting_requests,
        history_lines=limits.history_lines,
        history_reads=limits.history_reads,
    )


def file_rules_of(config: Config) -> FileRules:
    """What a configuration says of files."""
    files = config.files
    return FileRules(
        file_bytes=files.file_bytes,
        user_bytes=files.user_bytes,
        total_bytes=files.total_bytes,
        spare_bytes=files.spare_bytes,
        user_files=files.user_files,
        expire_seconds=files.expire_hours * 3600,
        ticket_seconds=files.ticket_minutes * 60,
    )


def spawn(work: Coroutine[Any, Any, None]) -> Deferred[None]:
    """Run a coroutine by itself; an error in it is logged."""
    running = Deferred.fromCoroutine(work)
    running.addErrback(lambda failure: _log.failure("a task failed", failure))
    return running


def incident() -> int:
    """Log the exception that is being handled under a new number, and return that."""
    number = next(_incidents)
    _log.failure("incident {number}", number=number)
    return number
