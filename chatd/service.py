"""The twistd service: reads the options, wires everything, starts and stops it.

The rule: this is the only module that touches the reactor; everybody else is handed what they need.
"""

import os
import sys
from collections.abc import Coroutine
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Final

from twisted.application.service import MultiService
from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python import usage

from chatd import __version__
from chatd.auth import Bcrypt, PortalPasswords
from chatd.commands import TABLE
from chatd.config import Config, Door
from chatd.configfile import ConfigError, Problem, load, sample
from chatd.domain.hub import Hub, Rules
from chatd.domain.limits import Gate, Lockout
from chatd.domain.names import RESERVED, Key, Name, key_of, read_channel_name
from chatd.domain.ports import Role
from chatd.domain.rooms import Channel
from chatd.domain.roster import MemoryRoster
from chatd.domain.session import LINGER, is_local
from chatd.doors import IDoor, known_doors
from chatd.doors.reception import ListenError, Listening, Reception
from chatd.journal import StoreJournal
from chatd.members import MembersFile
from chatd.store.files import StoreError, open_database
from chatd.store.sql import SqlStore

_log = Logger()
_incidents = count(1)

_PRUNE_SECONDS: Final = 3600
_MEMBERS_SECONDS: Final = 2
_DAY: Final = 86_400


class Options(usage.Options):
    """What ``twistd -n chatd`` takes."""

    synopsis = "[options]"
    longdesc = "A chat server for telnet and nc. Without a file it runs on built-in defaults."
    optParameters: ClassVar = [
        ["config", "c", None, "the configuration, a TOML file"],
        ["host", None, None, "where to listen instead of 127.0.0.1 (0.0.0.0: every network)"],
    ]
    optFlags: ClassVar = [
        ["check", None, "check the configuration and exit"],
        ["sample", None, "print a commented sample configuration and exit"],
    ]

    def opt_version(self) -> None:
        """Print the version and exit."""
        sys.stdout.write(f"chatd {__version__}\n")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Read the configuration; all its mistakes are told at once."""
        if self["sample"]:
            sys.stdout.write(sample())
            raise SystemExit(0)
        try:
            self.config = read_config(self["config"], self["host"])
        except ConfigError as error:
            sys.stderr.write(f"{error}\n")
            raise SystemExit(1) from None
        if self["check"]:
            sys.stdout.write("The configuration is right.\n")
            raise SystemExit(0)


def read_config(file: str | None, host: str | None) -> Config:
    """The configuration of a file, or the defaults where there is none.

    Raises:
        ConfigError: with all mistakes.
    """
    text = ""
    if file is not None:
        try:
            text = Path(file).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(file, [Problem(0, "", error.strerror or str(error))]) from None
        except UnicodeDecodeError:
            raise ConfigError(file, [Problem(0, "", "is not UTF-8 text")]) from None
    doors = known_doors()
    kinds = {kind: partial(_settings_class, door) for kind, door in doors.items()}
    return load(file or "defaults", text, kinds, check_endpoint, host)


def check_endpoint(listen: str) -> str | None:
    """What is wrong with an endpoint string, or None."""
    try:
        serverFromString(_reactor, listen)
    except Exception as error:  # noqa: BLE001
        # Parsers of endpoint strings raise whatever their arguments make them: a missing
        # certificate an OSError, a misspelt key a TypeError. All of it is the string's fault.
        return f"no endpoint: {error or type(error).__name__}"
    return None


def makeService(options: Options) -> "ChatService":
    """The service of ``twistd -n chatd``."""
    return ChatService(options.config, _reactor)


class ChatService(MultiService):
    """Everything that runs: store, passwords, hub, journal, doors, clean-up.

    ``reactor`` gives time, threads and sockets. It all starts in :meth:`startService`, the store
    before the doors, so that nobody gets in before everything is there; a part that can't start is
    told in one line, and ends the process with status 1.
    """

    def __init__(self, config: Config, reactor: Any) -> None:
        MultiService.__init__(self)
        self.config = config
        self._reactor = reactor
        self._prune = LoopingCall(self._spawn_prune)
        self._prune.clock = reactor
        self.hub: Hub
        self.journal: StoreJournal
        self._store: SqlStore
        self._bcrypt: Bcrypt
        self._lockout: Lockout
        self._gate: Gate
        self._members: MembersFile | None = None

    def startService(self) -> None:
        """Open the store and the doors, or say why not and exit."""
        try:
            self._open()
            MultiService.startService(self)
        except (StoreError, ListenError) as error:
            # twistd has put its log in the place of sys.stderr.
            print(f"chatd can't start: {error}", file=sys.__stderr__, flush=True)
            raise SystemExit(1) from None
        self._prune.start(_PRUNE_SECONDS, now=True)
        if self._members is not None:
            self._members.start(_MEMBERS_SECONDS)
        self._reactor.callWhenRunning(self._ready)

    async def _stop(self) -> None:
        for door in self:
            if isinstance(door, Listening):
                await door.stopService()
        await self.hub.close("The server is stopping. Goodbye.")
        await self.journal.drained()
        await self.hub.mail.settle()
        await self._all_gone()
        if self._prune.running:
            self._prune.stop()
        if self._members is not None:
            self._members.stop()
        self._lockout.stop()
        self._bcrypt.stop()
        self._store.stop()
        _log.info("chatd has stopped; everything that was accepted is stored")

    def stopService(self) -> Deferred[Any]:
        """Say goodbye to everyone, store what was accepted, close."""
        return Deferred.fromCoroutine(self._stop())

    def _open(self) -> None:
        config, reactor = self.config, self._reactor
        state = state_directory(config.state)
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
        )
        channels = [
            Channel(read_channel_name(c.name), c.capacity, c.afk_seconds, c.history)
            for c in config.channels
        ]
        for channel in channels:
            hub.open(channel)
        kept = store.open_rooms([channel.name for channel in channels if channel.keeps])
        self.journal = hub.journal = StoreJournal(
            reactor, hub, store, spawn, kept, limits.journal_bytes
        )
        hub.groups.load(store.load_groups())
        if accounts.members:
            self._open_members(state / accounts.members)
        for configured, channel in zip(config.channels, channels, strict=True):
            self._open_door(Door("line", configured.listen), channel)
        for door in config.doors:
            self._open_door(door, None)

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

    def _open_door(self, door: Door, channel: Channel | None) -> None:
        module = known_doors()[door.kind].load()
        listen = [
            (text, serverFromString(self._reactor, text))
            for text in map(self.config.endpoint, door.listen)
        ]
        backlog = self.config.limits.backlog_bytes
        reception = Reception(self.hub, self._gate, backlog, channel, listen)
        module.open_door(door.settings or module.Settings(), reception).setServiceParent(self)

    def _ready(self) -> None:
        exposed: list[str] = []
        for door in self:
            if isinstance(door, Listening):
                for text, address in door.addresses():
                    _log.info("listening on {place}", place=_shown(address))
                    if not text.casefold().startswith(("ssl:", "tls:")):
                        exposed.append(getattr(address, "host", ""))
        exposed = sorted({host for host in exposed if not is_local(host)})
        if exposed:
            _log.warn(
                "open to the network ({hosts}): telnet and nc carry passwords in the clear",
                hosts=", ".join(exposed),
            )
        _log.info("chatd {version} is ready", version=__version__)

    def _spawn_prune(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._forget_old_lines())

    async def _forget_old_lines(self) -> None:
        """Forget what the configuration says need not be kept, a little at a time."""
        try:
            await self._forget()
        except Exception:  # noqa: BLE001 (a full disk, say: the next hour may do better)
            _log.failure("old lines were not forgotten")

    async def _forget(self) -> None:
        keep = self.config.store
        before = self._reactor.seconds() - keep.keep_days * _DAY if keep.keep_days else 0.0
        channels = [read_channel_name(c.name) for c in self.config.channels if c.history]
        for room in (*channels, *self.hub.groups.rooms(), *await self._store.inboxes()):
            while await self._store.prune(room, before, keep.keep_lines):
                await deferLater(self._reactor, 0.1)

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


def state_directory(configured: str) -> Path:
    """The directory of everything that lasts, made if it is missing.

    Raises:
        StoreError: it can't be made.
    """
    # systemd sets the variable for a unit with StateDirectory=; the first of several is ours.
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    path = Path(configured or given or "~/.local/state/chatd")
    try:
        path = path.expanduser()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except RuntimeError:  # a user without a home, as in many containers
        raise StoreError(f"{path}: there is no home directory; set state") from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    return path


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


def _shown(address: object) -> str:
    """An address that is listened on, as people write it: a host and a port, or a path."""
    if isinstance(address, IPv4Address | IPv6Address):
        host = f"[{address.host}]" if isinstance(address, IPv6Address) else address.host
        return f"{host}:{address.port}"
    return os.fsdecode(getattr(address, "name", None) or str(address))


def _settings_class(door: IDoor) -> type:
    settings: type = door.load().Settings
    return settings
