"""Codecs, sans-IO: bytes to requests, events to bytes. No sockets and no chat logic."""
