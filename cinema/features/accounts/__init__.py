"""Who somebody is: registration, login, tokens, roles, throttles."""
