"""Accounts: registration, login, sessions, second factors, roles and throttles."""
