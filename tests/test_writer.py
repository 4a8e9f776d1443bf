"""The writer: what waits is committed together, and a bad job hurts nobody else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, current_thread
from typing import Any

import attrs
import pytest
import sqlalchemy as sa
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from chatd.store.writer import MOST, Writer
from tests.threads import Threads

Job = Callable[[sa.Connection], Any]


@attrs.define(eq=False)
class Bench:
    """A writer on a table of numbers, and a count of its commits."""

    engine: sa.Engine
    threads: Threads
    commits: int = 0
    commit_fails: bool = False
    undone: list[str] = attrs.field(factory=list)
    outcomes: list[object] = attrs.field(factory=list)
    writer: Writer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.writer = Writer(self.engine, self.threads.callFromThread, self._note_undone)
        sa.event.listen(self.engine, "commit", self._committed)

    def submit(self, *jobs: Job) -> list[Deferred[Any]]:
        """Hand jobs over; their results gather in ``outcomes``, an error as its words."""
        return [self.writer.submit(job).addBoth(self._done) for job in jobs]

    def submit_together(self, *jobs: Job) -> None:
        """Hand over jobs that find the writer busy, so that they wait for it together."""
        started, proceed = Event(), Event()

        def hold(_connection: sa.Connection) -> None:
            started.set()
            assert proceed.wait(20)

        self.submit(hold)
        assert started.wait(20)
        self.submit(*jobs)
        proceed.set()

    def finish(self) -> list[object]:
        """Let the writer do everything; return what came of it."""
        self.writer.stop()
        self.threads.turn_all()
        return self.outcomes

    def numbers(self) -> list[int]:
        """What is in the table."""
        with self.engine.connect() as connection:
            return list(connection.exec_driver_sql("SELECT n FROM t ORDER BY rowid").scalars())

    def _committed(self, _connection: sa.Connection) -> None:
        self.commits += 1
        if self.commit_fails:
            raise OSError("the disk is gone")

    def _note_undone(self) -> None:
        self.undone.append(f"{self.numbers()} in {current_thread().name}")

    def _done(self, result: object) -> None:
        self.outcomes.append(str(result.value) if isinstance(result, Failure) else result)


def add(number: int) -> Job:
    """A job that stores a number and answers with it."""

    def job(connection: sa.Connection) -> int:
        connection.exec_driver_sql("INSERT INTO t VALUES (?)", (number,))
        return number

    return job


def bad(connection: sa.Connection) -> None:
    """A job that stores something, and then fails."""
    connection.exec_driver_sql("INSERT INTO t VALUES (666)")
    raise ValueError("a bad job")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A writer that has been started."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/t.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER UNIQUE)")
    made = Bench(engine, Threads())
    made.writer.start()
    yield made
    made.writer.stop()
    engine.dispose()


def test_jobs_in_their_order(bench: Bench) -> None:
    """Jobs are done, and answered, in the order in which they were given."""
    bench.submit(*(add(number) for number in range(50)))

    assert bench.finish() == list(range(50))
    assert bench.numbers() == list(range(50))


def test_what_waits_is_one_commit(bench: Bench) -> None:
    """Jobs that wait while another one is done are committed together."""
    bench.submit_together(*(add(number) for number in range(20)))

    assert bench.finish() == [None, *range(20)]
    assert bench.commits == 2


def test_group_has_a_limit(bench: Bench) -> None:
    """However many wait, a transaction has no more jobs than the limit."""
    bench.submit_together(*(add(number) for number in range(2 * MOST + 1)))

    assert bench.finish() == [None, *range(2 * MOST + 1)]
    assert bench.commits == 4


def test_bad_job_fails_alone(bench: Bench) -> None:
    """A job that fails is undone and told; those before and after it in its group are done."""
    bench.submit_together(add(1), bad, add(2), add(1), add(3))

    unique = "UNIQUE constraint failed: t.n"
    outcomes = bench.finish()
    assert [str(outcome).splitlines()[0] for outcome in outcomes] == [
        "None",
        "1",
        "a bad job",
        "2",
        f"(sqlite3.IntegrityError) {unique}",
        "3",
    ]
    assert bench.numbers() == [1, 2, 3]


def test_job_that_fails_by_itself(bench: Bench) -> None:
    """A job that fails with nobody beside it is told, and the writer goes on."""
    bench.submit(bad)
    bench.threads.turn()
    bench.submit(add(1))

    assert bench.finish() == ["a bad job", 1]
    assert bench.numbers() == [1]


def test_whoever_remembers_is_told_what_is_undone(bench: Bench) -> None:
    """Each time a transaction was rolled back, it is told in the writer's thread, not otherwise."""
    bench.submit_together(add(1), bad, add(2))
    bench.finish()

    # the three together, with nothing of them left; then the bad one by itself
    assert bench.undone == ["[] in chatd-writer", "[1] in chatd-writer"]


def test_failed_commit_fails_everybody(bench: Bench) -> None:
    """Where nothing can be committed every job fails, and later ones are done again."""
    bench.commit_fails = True
    bench.submit_together(add(1), add(2))
    bench.finish()
    assert bench.outcomes == ["the disk is gone"] * 3
    assert bench.numbers() == []

    bench.commit_fails = False
    bench.writer.start()
    bench.submit(add(3))
    assert bench.finish()[3:] == [3]
    assert bench.numbers() == [3]


def test_stop_does_what_waits(bench: Bench) -> None:
    """What was given before the stop is in the database when the stop returns."""
    bench.submit_together(*(add(number) for number in range(3 * MOST)))
    bench.writer.stop()

    assert bench.numbers() == list(range(3 * MOST))


def test_stop_of_a_writer_that_never_ran(bench: Bench) -> None:
    """A writer that was not started can be stopped."""
    Writer(bench.engine, bench.threads.callFromThread).stop()

    assert bench.finish() == []


def test_answers_come_in_the_reactor(bench: Bench) -> None:
    """Nobody is answered in the writer's own thread."""
    bench.submit(add(1))
    bench.writer.stop()
    assert bench.numbers() == [1]
    assert bench.outcomes == []

    assert bench.finish() == [1]


def test_asker_who_no_longer_waits(bench: Bench) -> None:
    """Who cancels hears of it once, and the job is done all the same."""
    [done] = bench.submit(add(1))
    done.cancel()

    assert bench.finish() == [""]
    assert bench.numbers() == [1]
