"""chatd: a chat server for telnet, nc and whatever speaks TCP.

The layers, each importing only those below it (import-linter checks this)::

    service                        reads the options; the only module that touches the reactor
    server, process                wires everything; what there is one of in a process
    rehash, pruning, stats         another configuration, less of the past, what is counted
    doors | auth | members         ways in, passwords, the file of a closed server's people
    journal | store | spool | scan the order of events, what lasts; files, and who looks at them
    wire | commands                bytes to requests and events to bytes; what people can type
    configfile, changes, config    one TOML file, checked whole; how two of them differ
    domain                         names, events, rooms, sessions, the hub

A request's way: a *door* reads bytes, its *codec* makes them *requests*, the *session* lets them
through in their order, the *command table* checks and calls one function, that asks the *hub*,
the hub appends an *event* to the *journal*, and what the journal has accepted is told to the
*audience* of a room, which encodes it once and writes it to every *link*.
"""

__version__ = "0.1.0"
