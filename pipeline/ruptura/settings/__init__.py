"""Settings: one TOML file, then the environment; read once, checked, then frozen."""

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

__all__ = [
    "AlertSettings",
    "DetectionSettings",
    "KafkaSettings",
    "Origins",
    "PlannedWindow",
    "ServiceSettings",
    "Settings",
    "SettingsError",
    "TopicSettings",
    "WindowSettings",
    "WorkerSettings",
    "load",
    "load_with_origins",
    "repartition_topic",
    "settings_hash",
]
