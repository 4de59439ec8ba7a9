"""Seat maps that follow changes over a WebSocket, and commands on the same socket."""
