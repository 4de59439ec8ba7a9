"""The web app: its built pages, and what they have to know of this server."""
