"""Pruning: forgetting what need not be kept, a little at a time.

The rule: a clean-up never holds up the chat, and one that fails is tried again an hour later.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from chatd.config import Config
from chatd.domain.hub import Hub
from chatd.domain.names import read_channel_name
from chatd.store.sql import SqlStore

_log = Logger()

_EVERY: Final = 3600
_PAUSE: Final = 0.1
_DAY: Final = 86_400


class Pruning:
    """Forgets old lines, and bans and mutes that are over, every hour.

    ``config`` gives the configuration in force.
    """

    def __init__(
        self, reactor: Any, hub: Hub, store: SqlStore, config: Callable[[], Config]
    ) -> None:
        self._reactor = reactor
        self._hub = hub
        self._store = store
        self._config = config
        self._calls = LoopingCall(lambda: Deferred.fromCoroutine(self._prune()))
        self._calls.clock = reactor

    def start(self) -> None:
        """Begin, now."""
        self._calls.start(_EVERY, now=True)

    def stop(self) -> None:
        """End, after the little that is being done."""
        if self._calls.running:
            self._calls.stop()

    async def _prune(self) -> None:
        try:
            await self._forget()
        except Exception:  # noqa: BLE001 (a full disk, say: the next hour may do better)
            _log.failure("old lines were not forgotten")

    async def _forget(self) -> None:
        config, store = self._config(), self._store
        await self._hub.files.forget_over()
        await store.forget_sanctions(*self._hub.sanctions.forget_over())
        days, lines = config.store.keep_days, config.store.keep_lines
        before = self._reactor.seconds() - days * _DAY if days else 0.0
        channels = [read_channel_name(one.name) for one in config.channels if one.history]
        for room in (*channels, *self._hub.groups.rooms(), *await store.inboxes()):
            while await store.prune(room, before, lines):
                await deferLater(self._reactor, _PAUSE)
