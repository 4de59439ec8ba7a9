"""Connections of clients, from bytes to requests and back."""
