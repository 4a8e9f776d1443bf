"""What twistd finds: the service, and one line a door. Names only, so that this costs nothing."""

from twisted.application.service import ServiceMaker

from chatd.doors import Door

chatd = ServiceMaker("chatd", "chatd.service", "A chat server for telnet and nc.", "chatd")

line = Door("line", "chatd.doors.line")
files = Door("files", "chatd.doors.files")
manhole = Door("manhole", "chatd.doors.manhole", "ssh")
