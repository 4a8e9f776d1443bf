"""Doors: the ways in, one file each.

A door is a module with

* ``Settings``: an attrs class of :func:`chatd.config.setting` fields, besides ``kind`` and
  ``listen``. It may say ``HOST``, where the door listens unless told otherwise, in the place of the
  configuration's, and ``SECRET = True``, that nobody else can read what goes through it,
  and ``PORT``, at which the sample configuration shows it;
* ``open_door(settings, reception) -> IService``: hands ``reception.service`` the factory of its
  protocols, and returns that service or one of its own. The ports are opened, closed and handed on
  by :mod:`chatd.doors.openings`. The service is stopped with the server, not before.

and one ``Door("kind", "package.module")`` line in a Twisted plugin file: names only, so that a
door whose dependency is missing hurts only whoever configures it. TLS, unix sockets and socket
activation are endpoint strings, not doors.
"""

from typing import Any

from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedModule
from zope.interface import Attribute, Interface, implementer


class IDoor(Interface):
    """A plugin that says where a door's module is."""

    kind = Attribute("What a configuration calls it.")

    def load() -> Any:
        """Import the module that has ``Settings`` and ``open_door``."""


@implementer(IPlugin, IDoor)
class Door:
    """One kind of door, by name; ``extra`` is the one of chatd's extras that it needs."""

    def __init__(self, kind: str, module: str, extra: str = "") -> None:
        self.kind = kind
        self._module = module
        self._extra = extra

    def load(self) -> Any:
        """Import the module that has ``Settings`` and ``open_door``.

        Raises:
            ImportError: something that it needs is not installed.
        """
        try:
            return namedModule(self._module)
        except ImportError as error:
            if not self._extra:
                raise
            raise ImportError(f"{error} (pip install '.[{self._extra}]')") from error


def known_doors() -> dict[str, IDoor]:
    """Every kind of door that a plugin declares."""
    return {door.kind: door for door in getPlugins(IDoor)}
