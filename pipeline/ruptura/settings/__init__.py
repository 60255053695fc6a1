"""Settings: one TOML file, then the environment; read once, checked, then frozen."""

from ruptura.settings.changes import Change, changes, refused
from ruptura.settings.fingerprint import fingerprint
from ruptura.settings.loading import (
    Loaded,
    Origins,
    SettingsError,
    load,
    load_with_origins,
)
from ruptura.settings.section import TakesEffect
from ruptura.settings.sections import (
    AlertSettings,
    DetectionSettings,
    KafkaSettings,
    Settings,
    TopicSettings,
    WindowSettings,
    WorkerSettings,
    repartition_topic,
)
from ruptura.settings.services import PlannedWindow, ServiceSettings
from ruptura.settings.state_hash import settings_hash

__all__ = [
    "AlertSettings",
    "Change",
    "DetectionSettings",
    "KafkaSettings",
    "Loaded",
    "Origins",
    "PlannedWindow",
    "ServiceSettings",
    "Settings",
    "SettingsError",
    "TakesEffect",
    "TopicSettings",
    "WindowSettings",
    "WorkerSettings",
    "changes",
    "fingerprint",
    "load",
    "load_with_origins",
    "refused",
    "repartition_topic",
    "settings_hash",
]
