"""What a channel's minutes add up to: its queue, its platform, its bot; before any report."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ruptura.simulator.curves import Curves
from ruptura.simulator.scenario import Channel
from ruptura.simulator.station import Log
from ruptura.simulator.timeline import MINUTE, Floats, Ints

_LATENCY_MEMORY = 0.9
_LATENCY_SIGMA = 0.06  # of the log, from minute to minute, slow part
_LATENCY_NOISE = 0.05  # the same, of each minute by itself
_ERRORS_SIGMA = 0.25  # of the log of the failing share: overdispersion
_FALLBACK_RISE = 0.6  # share of its lost containment that a bot shows as turns not understood
_HEARTBEAT_LOSS = 0.002


class Figures(msgspec.Struct, frozen=True):
    """One number a minute.

    Attributes:
        offered: Contacts that entered the queue.
        answered, given_up: Of those that left it: taken by an agent, abandoned.
        due, in_time: Contacts of which it was decided whether they are answered within the target
            time, and those that were.
        waited, worked: Seconds of wait and of handling of the contacts taken.
        queue, oldest: At the end of the minute: contacts that wait, and the longest wait.
        agents, busy: At the end of the minute.
        requests, errors: Of the platform.
        latency: In seconds (p95).
        heartbeats: Signs of life.
        sessions, contained, turns, fallbacks: Of the bot.
        sent, delivered: Messages.
        purchases: Orders that follow from contacts.
    """

    offered: Ints
    answered: Ints
    due: Ints
    in_time: Ints
    given_up: Ints
    waited: Floats
    worked: Floats
    queue: Ints
    oldest: Floats
    agents: Ints
    busy: Ints
    requests: Ints
    errors: Ints
    latency: Floats
    heartbeats: Ints
    sessions: Ints
    contained: Ints
    turns: Ints
    fallbacks: Ints
    sent: Ints
    delivered: Ints
    purchases: Ints


def figures(
    channel: Channel,
    log: Log,
    *,
    target: float,
    ordinary: Floats,
    present: Ints,
    curves: Curves,
    rng: np.random.Generator,
) -> Figures:
    """Add up what happened, and draw what the platform and the bot did.

    Args:
        channel: Whose.
        log: Its contacts.
        target: Seconds within which contacts should be answered.
        ordinary: Demand, contacts a minute.
        present: Agents.
        curves: Its state.
        rng: For the platform.
    """
    minutes = len(ordinary)
    entered, left = np.asarray(log.entered, np.float64), np.asarray(log.left, np.float64)
    handled = np.asarray(log.handled, np.float64)
    taken = handled >= 0.0
    wait = left - entered
    prompt = taken & (wait <= target)
    met, contained = np.asarray(log.met, np.float64), np.asarray(log.contained, np.bool_)
    busy = waiting(left[taken], left[taken] + handled[taken], minutes)
    requests, errors = _requests(channel, log, ordinary, curves, rng)
    sessions = _count(met, minutes)
    turns, fallbacks = _turns(channel, sessions, curves, rng)
    sent = rng.poisson(3.0 * requests / channel.platform.requests_per_contact)
    beats = channel.platform.heartbeats_per_minute
    return Figures(
        offered=_count(entered, minutes),
        answered=_count(left[taken], minutes),
        due=_count(np.minimum(left, entered + target), minutes),
        in_time=_count(left[prompt], minutes),
        given_up=_count(left[~taken], minutes),
        waited=_count(left[taken], minutes, wait[taken]),
        worked=_count((left + handled)[taken], minutes, handled[taken]),
        queue=waiting(entered, left, minutes),
        oldest=_oldest(entered, left, minutes),
        agents=present,
        busy=busy,
        requests=requests,
        errors=errors,
        latency=_latency(channel, curves, rng),
        heartbeats=rng.binomial(beats, np.clip(curves.heartbeats, 0, 1) * (1 - _HEARTBEAT_LOSS)),
        sessions=sessions,
        contained=_count(met[contained], minutes),
        turns=turns,
        fallbacks=fallbacks,
        sent=sent,
        delivered=rng.binomial(sent, 0.985 * (1.0 - curves.failing)),
        purchases=rng.poisson(0.3 * requests / channel.platform.requests_per_contact),
    )


def waiting(entered: Floats, left: Floats, minutes: int) -> Ints:
    """Count who is there at the end of each minute, of those who come and leave."""
    ends = (np.arange(minutes) + 1.0) * MINUTE
    came = np.searchsorted(np.sort(entered), ends, side="right")
    gone = np.searchsorted(np.sort(left), ends, side="right")
    return came - gone


def _oldest(entered: Floats, left: Floats, minutes: int) -> Floats:
    """Return for how long the first of those who wait has waited, at the end of each minute."""
    first = np.floor(entered / MINUTE).astype(np.int64)
    last = np.minimum(np.floor(left / MINUTE).astype(np.int64), minutes)
    spans = np.maximum(last - first, 0)
    start = np.repeat(np.cumsum(spans) - spans, spans)
    minute = np.repeat(first, spans) + np.arange(int(spans.sum())) - start
    since = np.full(minutes, np.inf)
    np.minimum.at(since, minute, np.repeat(entered, spans))
    ends = (np.arange(minutes) + 1.0) * MINUTE
    return np.where(np.isfinite(since), ends - since, 0.0)


def _count(at: Floats, minutes: int, weights: Floats | None = None) -> Any:
    """Count moments by minute, or add up what belongs to them."""
    inside = at < minutes * MINUTE
    index = np.floor(at[inside] / MINUTE).astype(np.int64)
    return np.bincount(index, None if weights is None else weights[inside], minutes)


def _requests(
    channel: Channel, log: Log, ordinary: Floats, curves: Curves, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Draw requests, which follow contacts, and those that fail."""
    platform = channel.platform
    tries = _count(np.asarray(log.tries, np.float64), len(ordinary))
    recent = np.convolve(tries, (0.4, 0.3, 0.2, 0.1))[: len(ordinary)]  # a contact takes minutes
    mean = ordinary.mean() or 1.0
    beside = platform.requests_per_minute * ordinary * curves.demand / mean
    requests = rng.poisson((platform.requests_per_contact * recent + beside) * curves.requests)
    noise = np.exp(rng.standard_normal(len(ordinary)) * _ERRORS_SIGMA - _ERRORS_SIGMA**2 / 2.0)
    return requests, rng.binomial(requests, np.minimum(curves.failing * noise, 1.0))


def _latency(channel: Channel, curves: Curves, rng: np.random.Generator) -> Floats:
    """Draw the latency: slow swings (autoregressive, of the log) and noise of each minute."""
    minutes = len(curves.latency)
    steps = rng.standard_normal(minutes) * (_LATENCY_SIGMA * (1.0 - _LATENCY_MEMORY**2) ** 0.5)
    swing = np.empty(minutes)
    state = 0.0
    for minute, step in enumerate(steps.tolist()):
        state = _LATENCY_MEMORY * state + step
        swing[minute] = state
    noise = rng.standard_normal(minutes) * _LATENCY_NOISE
    latency: Floats = channel.platform.request_seconds * curves.latency * np.exp(swing + noise)
    return latency


def _turns(
    channel: Channel, sessions: Ints, curves: Curves, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Draw the turns of the bot, and those that it does not understand."""
    if channel.bot is None:
        nothing = np.zeros(len(sessions), np.int64)
        return nothing, nothing
    turns = rng.poisson(sessions * channel.bot.turns)
    usual = channel.bot.fallback_ratio
    ratio = usual + (1.0 - usual) * _FALLBACK_RISE * (1.0 - np.minimum(curves.containment, 1.0))
    return turns, rng.binomial(turns, ratio)
