"""Doors: the ways in, one file each.

A door is a module with

* ``Settings``: an attrs class of :func:`chatd.config.setting` fields, besides ``kind`` and
  ``listen``;
* ``open_door(settings, reception) -> IService``: the service that listens for it.

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
    """One kind of door, by name."""

    def __init__(self, kind: str, module: str) -> None:
        self.kind = kind
        self._module = module

    def load(self) -> Any:
        """Import the module that has ``Settings`` and ``open_door``."""
        return namedModule(self._module)


def known_doors() -> dict[str, IDoor]:
    """Every kind of door that a plugin declares."""
    return {door.kind: door for door in getPlugins(IDoor)}
