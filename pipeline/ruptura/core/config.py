"""What an engine is made of."""

from __future__ import annotations

import msgspec

from ruptura.core.decide.service import DecideConfig
from ruptura.core.detect.channel_detectors import DetectConfig
from ruptura.core.history import History
from ruptura.core.ingest.partition import IngestConfig


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is made of.

    Attributes:
        ingest, detect, decide: The parts of the stages.
        shape: Hash of the settings that shape the state; a snapshot of another is refused.
        history: What channels had learned elsewhere, for those that begin.
    """

    ingest: IngestConfig
    detect: DetectConfig
    decide: DecideConfig
    shape: str
    history: History = {}
