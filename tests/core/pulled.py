"""An engine driven as a worker drives it: by small pulls, with others at work in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Tick
from ruptura.core.engine import Engine, runs


def pulls(subject: Engine, inputs: Sequence[Input]) -> Iterator[Effects]:
    """Take inputs, and close what becomes due before the next; yield after each pull."""
    for run in runs(inputs):
        if isinstance(run, Tick):
            yield subject.tick(run)
            yield from closings(subject)
            continue
        rest = run
        while rest:
            taken, effects = subject.ingest(rest)
            yield effects
            assert taken == len(rest) or subject.due() is not None
            rest = rest[taken:]
            yield from closings(subject)


def closings(subject: Engine) -> Iterator[Effects]:
    """Close what is due, a portion at a time."""
    while (due := subject.due()) is not None:
        yield subject.close(*due)


def close_all(subject: Engine) -> None:
    """Close all that is due."""
    for _ in closings(subject):
        pass


def make_due(subject: Engine, inputs: Sequence[Input]) -> None:
    """Take inputs until buckets are due again after some were closed."""
    began = False
    for effects in pulls(subject, inputs):
        if began and subject.due() is not None:
            return
        began = began or bool(effects.points)
    raise AssertionError("nothing became due")
