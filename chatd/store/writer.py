"""The writer: one thread that commits whatever waits in one transaction.

The rule: a job is a function of a connection, and may be run again: where a group fails, each of
its jobs is run by itself, so that one that can't be done does not fail its neighbours.
Measured: 120,000 rows a second with group commit, 4,600 with a transaction each (LIBRARIES.md 3).
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

import attrs
import sqlalchemy as sa
from twisted.internet.defer import Deferred

T = TypeVar("T")
Job = Callable[[sa.Connection], Any]
CallInReactor = Callable[..., object]

MOST: Final = 500
"""Jobs in one transaction at the most."""


@attrs.define(eq=False)
class Writer:
    """Runs jobs in their order. ``call_in_reactor`` is the reactor's ``callFromThread``.

    ``undone`` is called in the writer's thread when a transaction was rolled back: what its jobs
    have learned of the database may not be true.
    """

    _engine: sa.Engine
    _call_in_reactor: CallInReactor
    _undone: Callable[[], object] = lambda: None
    _queue: "SimpleQueue[tuple[Job, Deferred[Any]] | None]" = attrs.field(factory=SimpleQueue)
    _thread: Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._work, name="chatd-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[sa.Connection], T]) -> "Deferred[T]":
        """Run a job; the Deferred fires with its result once that is committed."""
        done: Deferred[T] = Deferred()
        self._queue.put((job, done))
        return done

    def stop(self) -> None:
        """Do what waits, then end the thread; returns when it has ended."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        more = True
        while more:
            group: list[tuple[Job, Deferred[Any]]] = []
            entry = self._queue.get()
            while entry is not None:
                group.append(entry)
                if len(group) >= MOST:
                    break
                try:
                    entry = self._queue.get_nowait()
                except Empty:
                    break
            more = entry is not None
            results = self._run_group([job for job, _ in group])
            done = [
                (deferred, result) for (_, deferred), result in zip(group, results, strict=True)
            ]
            self._call_in_reactor(_tell, done)

    def _run_group(self, jobs: list[Job]) -> list[Any]:
        """The jobs' results, an exception in the place of one that failed."""
        try:
            with self._engine.begin() as connection:
                return [job(connection) for job in jobs]
        except Exception as error:  # noqa: BLE001 (it goes to whoever gave the job)
            self._undone()
            if len(jobs) == 1:
                return [error]
            return [self._run_group([job])[0] for job in jobs]


def _tell(done: list[tuple["Deferred[Any]", Any]]) -> None:
    for deferred, result in done:
        if isinstance(result, Exception):
            deferred.errback(result)
        else:
            deferred.callback(result)
