"""The audit log: one line an act, appended, and readable by nobody else."""

import json
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from chatd.audit import AuditFile
from chatd.domain.records import Act
from tests.conftest import LoggedErrors

KICK = Act(1700000000.125, "olga", "line", "10.0.0.1", "kick", "bob", "", "", "done")
FULL = Act(
    at=0.0,
    who="olga",
    door="manhole",
    address="",
    act="ban",
    target="10.0.0.0/8",
    arguments="600",
    reason="fâché\n\x1b[2J \ud83d {time}",
    result="done",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is to be."""
    return tmp_path / "audit.jsonl"


@pytest.fixture
def audit(path: Path) -> Iterator[AuditFile]:
    """A log; nothing is written yet."""
    made = AuditFile(path)
    yield made
    made.reopen()


def lines(path: Path) -> list[dict[str, str]]:
    """What is in the log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_act_is_a_line(path: Path, audit: AuditFile) -> None:
    """An act is one line that says who, from where, what, to whom and when, and no more."""
    assert not path.exists()
    audit.note(KICK)
    assert path.read_text() == (
        '{"time": "2023-11-14T22:13:20.125Z", "who": "olga", "door": "line", '
        '"address": "10.0.0.1", "act": "kick", "target": "bob", "result": "done"}\n'
    )


def test_nobody_forges_a_line(path: Path, audit: AuditFile) -> None:
    """Whatever stands in a reason, an act stays one line and is read as it was."""
    audit.note(FULL)
    audit.note(KICK)
    assert path.read_bytes().isascii()
    first, second = lines(path)
    assert first == {
        "time": "1970-01-01T00:00:00.000Z",
        **{name: text for name, text in attrs.asdict(FULL).items() if text and name != "at"},
    }
    assert second["act"] == "kick"


def test_nobody_else_may_read_it(path: Path, audit: AuditFile) -> None:
    """The log is its owner's alone."""
    audit.note(KICK)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_only_appended_to(path: Path, audit: AuditFile) -> None:
    """What is in the log stays, after a restart too, and whoever else writes to it."""
    audit.note(KICK)
    other = AuditFile(path)
    other.note(attrs.evolve(KICK, act="ban"))
    audit.note(attrs.evolve(KICK, act="empty"))
    other.reopen()
    assert [line["act"] for line in lines(path)] == ["kick", "ban", "empty"]


def test_reopen(path: Path, audit: AuditFile) -> None:
    """A log that was moved away is gone on with in a new file, once it is said."""
    audit.reopen()
    audit.note(KICK)
    old = path.rename(path.with_suffix(".1"))
    audit.note(attrs.evolve(KICK, act="ban"))
    audit.reopen()
    audit.note(attrs.evolve(KICK, act="empty"))
    assert [line["act"] for line in lines(old)] == ["kick", "ban"]
    assert [line["act"] for line in lines(path)] == ["empty"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["/dev/full", "/nowhere/audit.jsonl", "/"])
def test_a_log_that_cannot_be_written(name: str, logged_errors: LoggedErrors) -> None:
    """A full disk stops no operator: the act is in the server's own log, as an error."""
    audit = AuditFile(Path(name))
    audit.note(KICK)
    audit.note(KICK)
    audit.reopen()
    found = logged_errors.flush()
    assert [event["log_format"] for event in found] == ["not in the audit log: {act}"] * 2
    assert json.loads(found[0]["act"])["target"] == "bob"


def test_a_line_that_is_cut_short(
    path: Path, audit: AuditFile, logged_errors: LoggedErrors
) -> None:
    """A disk that fills up within a line spoils that line alone."""
    audit.note(KICK)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        audit.note(attrs.evolve(KICK, act="ban"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    audit.note(attrs.evolve(KICK, act="empty"))
    audit.note(attrs.evolve(KICK, act="bans"))
    first, cut, *rest = path.read_text().splitlines()
    assert json.loads(first)["act"] == "kick"
    assert len(cut) == 20
    assert [json.loads(line)["act"] for line in rest] == ["empty", "bans"]
    (event,) = logged_errors.flush()
    assert json.loads(event["act"])["act"] == "ban"
