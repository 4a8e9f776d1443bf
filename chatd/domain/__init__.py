"""What chat is: names, events, rooms, sessions and the hub that brings them together.

Pure Python: no Twisted, no zope, no sockets, no clock of its own. Everything that comes from
outside is described by a Protocol in :mod:`chatd.domain.ports`.
"""
