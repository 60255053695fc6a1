"""The registry of series, which is data: `registry.toml` of `ruptura.core.series`, read once."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from ruptura.core.series.registry import Registry, parse


@lru_cache(maxsize=1)
def series_registry() -> Registry:
    """Return the series that are known by name."""
    return parse(files("ruptura.core.series").joinpath("registry.toml").read_bytes())
