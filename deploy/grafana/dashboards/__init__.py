"""Ruptura's Grafana dashboards as code."""

from dashboards.catalogue import DASHBOARDS, json_text

__all__ = ["DASHBOARDS", "json_text"]
