"""Recorded public data, imported with the shipped mappings and replayed once per session."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from ruptura.core.contracts.document import Alert
from ruptura.core.contracts.effects import Effects, SeriesPoint
from ruptura.outputs.memory import AlertList
from ruptura.outputs.sink import ImmediateSink, Sinks
from ruptura.outputs.summary import Summary
from ruptura.settings import ServiceSettings, Settings
from ruptura.tools.importing.convert import import_csv
from ruptura.tools.replay import replay


class Replayed(msgspec.Struct):
    """What a replay of recorded data gave."""

    recording: Path
    zone: ZoneInfo
    summary: Summary
    alerts: list[Alert]
    points: list[SeriesPoint]

    def local(self, text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=self.zone)

    def told(self, kinds: set[str], begin: str, end: str) -> list[Alert]:
        """Documents of open alerts, of these kinds, told within a span of local time."""
        return [
            alert
            for alert in self.alerts
            if alert.kind in kinds
            and alert.status != "resolved"
            and self.local(begin) <= alert.updated_at <= self.local(end)
        ]


class KeptPoints(ImmediateSink):
    """The closed buckets that are asked for."""

    def __init__(self, keep: Callable[[SeriesPoint], bool]) -> None:
        self._keep = keep
        self.points: list[SeriesPoint] = []

    def apply(self, effects: Effects) -> None:
        self.points += filter(self._keep, effects.points)


Replayer = Callable[..., Replayed]


@pytest.fixture(scope="session")
def replay_data(root: Path, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Replayer:
    def run(
        mapping: str,
        file: str,
        service: ServiceSettings,
        *,
        keep: Callable[[SeriesPoint], bool] = lambda _: False,
        since: str | None = None,
        until: str | None = None,
    ) -> Replayed:
        recording = tmp_path_factory.mktemp("recording") / "recording.jsonl"
        import_csv(
            root / "deploy" / "mappings" / mapping, [data_dir / file], recording, io.StringIO()
        )
        if since is not None or until is not None:
            _cut(recording, since, until)
        told, kept = AlertList(), KeptPoints(keep)
        settings = Settings(services={"default": service})
        summary = replay([recording], settings, sink=Sinks(told, kept))
        return Replayed(recording, ZoneInfo(service.time_zone), summary, told.alerts, kept.points)

    return run


def _cut(recording: Path, since: str | None, until: str | None) -> None:
    first, last = (
        default if text is None else datetime.fromisoformat(text).timestamp() * 1000
        for text, default in ((since, -math.inf), (until, math.inf))
    )
    lines = recording.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if first <= msgspec.json.decode(line)["ts"] < last]
    assert 0 < len(kept) < len(lines)
    recording.write_bytes(b"".join(kept))
