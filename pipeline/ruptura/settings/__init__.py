"""Settings: one TOML file, then the environment; read once, checked, then frozen."""

from ruptura.settings.fingerprint import fingerprint
from ruptura.settings.loading import Origins, SettingsError, load, load_with_origins
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
from ruptura.settings.timing import TIMING, Change, Timing, changes, refused

__all__ = [
    "TIMING",
    "AlertSettings",
    "Change",
    "DetectionSettings",
    "KafkaSettings",
    "Origins",
    "PlannedWindow",
    "ServiceSettings",
    "Settings",
    "SettingsError",
    "Timing",
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
