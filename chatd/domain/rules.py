"""Rules: what the configuration says of people, as the domain needs it."""

import attrs

from chatd.domain.names import Key
from chatd.domain.records import Role


@attrs.frozen
class Rules:
    """What the configuration says of people, and of how much one session may ask for."""

    server: str
    register: bool
    guests: bool
    replace: bool
    reserved: frozenset[Key]
    operators: frozenset[Key]
    login_seconds: int
    line_bytes: int
    broadcast: Role
    mailbox_lines: int
    groups_each: int
    lines_per_second: float
    burst: int
    waiting_requests: int
    history_lines: int
    history_reads: int
