"""Lines for a shell: how somebody with nothing but nc or curl sends or fetches a file.

The rule: a file's name stands in them quoted for a POSIX shell, whatever it contains. A download
goes on only where one has begun, and from what is really there: not behind another file of the same
name, which would make one broken file of two.
"""

import shlex
from collections.abc import Iterator

from chatd.domain.events import Place, TicketGiven, Way


def shell_lines(given: TicketGiven) -> Iterator[str]:
    """A line for each way to use a ticket: nc where the port has no TLS, and curl."""
    for place in given.places:
        if not place.tls:
            yield _by_nc(given, place)
        yield _by_curl(given, place)


def _by_nc(given: TicketGiven, place: Place) -> str:
    where = f"nc {place.host} {place.port}"
    if given.way is Way.GET:
        name = _quoted(given.name)
        if given.done:
            return f"echo GET {given.ticket} $(wc -c <{name}) | {where} >> {name}"
        return f"echo GET {given.ticket} | {where} > {name}"
    path = _quoted(given.path)
    if given.done:
        rest = f"tail -c +{given.done + 1} <{path}"
        return f"(echo PUT {given.ticket} $(wc -c <{path}) {given.done}; {rest}) | {where}"
    return f"(echo PUT {given.ticket} $(wc -c <{path}); cat <{path}) | {where}"


def _by_curl(given: TicketGiven, place: Place) -> str:
    # -g: "{", "[" and "#" in a file's name mean nothing; -f: a refusal is not taken for the file.
    host = f"[{place.host}]" if ":" in place.host else place.host
    url = f"{'https' if place.tls else 'http'}://{host}:{place.port}/{given.ticket}"
    if given.way is Way.GET:
        resume = "-C - " if given.done else ""
        return f"curl -gf {resume}-o {_quoted(given.name)} {url}"
    resume = f"-C {given.done} " if given.done else ""
    return f"curl -g {resume}-T {_quoted(given.path)} {url}"


def _quoted(path: str) -> str:
    """A path for a shell, which is still to find the home that it begins with."""
    home, slash, rest = path.partition("/")
    if slash and home == "~":
        return f"~/{shlex.quote(rest)}" if rest else "~/"
    return shlex.quote(f"./{path}" if path.startswith("-") else path)
