"""What tests need where real threads are at work: the reactor's side, and a watch on bcrypt."""

import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import attrs
import bcrypt
import pytest_twisted
from twisted.internet import reactor as _reactor  # noqa: TID251 (bcrypt's threads answer there)
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from chatd.domain.names import ChannelName
from chatd.store.files import open_database
from chatd.store.sql import SqlStore

P = ParamSpec("P")
T = TypeVar("T")

reactor: Any = _reactor

COST = 4  # the least that bcrypt can do


def in_reactor(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, Any]:
    """Run a test in the real reactor (pytest-twisted, with types)."""
    marked: Callable[P, Any] = pytest_twisted.ensureDeferred(test)
    return marked


def soon(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Something that threads do; an error where they take much too long."""
    return Deferred.fromCoroutine(work).addTimeout(20, reactor)


@implementer(IReactorFromThreads)
@attrs.define(eq=False)
class Threads:
    """The reactor as threads see it: what they hand back is called when the test waits for it."""

    _calls: "SimpleQueue[Callable[[], Any]]" = attrs.field(factory=SimpleQueue)

    def callFromThread(
        self,
        callable: Callable[..., Any],  # noqa: A002 (the interface's name for it)
        *args: object,
        **kwargs: object,
    ) -> None:
        """Let the test's thread call something."""
        self._calls.put(partial(callable, *args, **kwargs))

    def turn(self) -> None:
        """Call the next thing that a thread hands back; an error where none comes."""
        self._calls.get(timeout=20)()

    def turn_all(self) -> None:
        """Call everything that threads have handed back so far."""
        while not self._calls.empty():
            self.turn()

    def wait(self, done: Deferred[T]) -> T:
        """The result of a Deferred, or its exception raised."""
        results: list[Any] = []
        done.addBoth(results.append)
        while not results:
            self.turn()
        if isinstance(results[0], Failure):
            results[0].raiseException()
        result: T = results[0]
        return result


@contextmanager
def sql_store(threads: Threads, state: Path, *rooms: ChannelName) -> Iterator[SqlStore]:
    """The real store, on a file in ``state``, for as long as the block lasts."""
    store = SqlStore.start(open_database("sqlite:///chatd.db", state), threads)
    try:
        store.open_rooms(rooms)
        yield store
    finally:
        store.stop()


class CountingPool(ThreadPool):
    """A thread that can be kept busy, and that counts the checks which bcrypt does on it."""

    def __init__(self) -> None:
        super().__init__(minthreads=0, maxthreads=1)
        self.checks = 0
        self._proceed = Event()
        self.start()

    def callInThreadWithCallback(
        self, onResult: Any, func: Callable[..., Any], *args: Any, **kw: Any
    ) -> None:
        """Run something, watched."""
        super().callInThreadWithCallback(onResult, self._watched, func, *args, **kw)

    def keep_busy(self) -> None:
        """Let everything wait until :meth:`proceed`, or the pool's end."""
        super().callInThreadWithCallback(None, self._proceed.wait, 20)

    def proceed(self) -> None:
        """Go on."""
        self._proceed.set()

    def stop(self) -> None:
        """Go on, then end; once is enough."""
        if not self.joined:
            self.proceed()
            super().stop()

    def _watched(self, func: Callable[..., T], *args: Any, **kw: Any) -> T:
        sys.setprofile(self._called)
        try:
            return func(*args, **kw)
        finally:
            sys.setprofile(None)

    def _called(self, _frame: FrameType, event: str, what: object) -> None:
        if event == "c_call" and what == bcrypt.checkpw:
            self.checks += 1
