"""Counts: what the server has done since it began, as plain integers.

The rule: everything here is counted where it happens rarely, or once a batch; nothing is counted
for each recipient of a line.
"""

import attrs


@attrs.define
class Counts:
    """Since the start. ``told_bytes`` is what rooms were told, times the people in them."""

    connections: int = 0
    turned_away: int = 0
    logins: int = 0
    refusals: int = 0
    drops: int = 0
    incidents: int = 0
    acts: int = 0
    batches: int = 0
    events: int = 0
    told_bytes: int = 0
