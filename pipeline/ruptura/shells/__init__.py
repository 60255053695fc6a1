"""Thin shells around the core: each joins it to one part of the world."""
