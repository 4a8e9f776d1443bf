"""What operators can see of a running server, in plain numbers.

The rule: everything here is read off when somebody asks; what is counted on the way is counted
where it happens, as an integer.
"""

import attrs

from chatd.domain.hub import Hub
from chatd.domain.limits import Gate
from chatd.journal import StoreJournal

Stats = dict[str, int | float]


async def stats_of(hub: Hub, journal: StoreJournal, gate: Gate, since: float) -> Stats:
    """Everything that is counted, by name; times are in seconds."""
    events, waiting = journal.waiting
    found: Stats = {
        "uptime": hub.clock.seconds() - since,
        "open_connections": len(gate),
        "online": len(hub.everyone),
        "groups": len(hub.groups.rooms()),
        "bans": len(hub.sanctions.bans()),
        **attrs.asdict(hub.counts),
        "journal_waiting_events": events,
        "journal_waiting_bytes": waiting,
        **{f"journal_{name}": count for name, count in attrs.asdict(journal.counts).items()},
    }
    for row in await hub.channels.rows():
        found[f"channel_{row.name}_here"] = row.here
        found[f"channel_{row.name}_waiting"] = row.waiting
    return found
