"""Answers that are kept as long as nothing has changed that they rest on."""
