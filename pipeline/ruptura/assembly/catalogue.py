"""The catalogue of known metrics, which is data: `catalogue.toml` beside this file."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

import msgspec

from ruptura.core.series.registry import SeriesSpec


@lru_cache(maxsize=1)
def known_metrics() -> MappingProxyType[str, SeriesSpec]:
    """Return the known metrics by name."""
    text = files("ruptura").joinpath("catalogue.toml").read_bytes()
    return MappingProxyType(msgspec.toml.decode(text, type=dict[str, SeriesSpec]))
