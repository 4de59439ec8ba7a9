"""Settings of a server: read once, checked together, then passed as values."""

from cinema.settings.fields import Secret, Setting, Settings
from cinema.settings.generated import with_jwt_secret
from cinema.settings.loading import Field, SettingsError, fields, load_settings

__all__ = [
    "Field",
    "Secret",
    "Setting",
    "Settings",
    "SettingsError",
    "fields",
    "load_settings",
    "with_jwt_secret",
]
