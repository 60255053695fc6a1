"""A forecast in words, with what it comes from."""

from __future__ import annotations

from collections.abc import Callable

from ruptura.core.detect.forecast import Objective, Objectives
from ruptura.forecast.bounds import Judged
from ruptura.forecast.queue import Load


def sentence(
    objective: Objective,
    judged: Judged,
    load: Load | None,
    objectives: Objectives,
    horizon_seconds: float,
    *,
    as_waits: bool,
) -> str:
    """Say what is to come, when, and what adds up to it.

    Args:
        objective: Which.
        judged: What was found.
        load: What there is to do; None where it was not the queue that told.
        objectives: For their limits.
        horizon_seconds: How far the forecast looks.
        as_waits: Whether the objective `answer` was judged by mean waits.
    """
    minutes = horizon_seconds / 60.0
    if judged.seconds == 0.0:
        when = "is broken now"
    else:
        when = f"will be broken within {minutes:.3g} min with probability {judged.probability:.2g}"
        if judged.seconds is not None:
            when += f", most likely in {judged.seconds / 60.0:.1f} min"
    what, show = _bounded(objective, objectives, as_waits=as_waits)
    text = (
        f"The objective that {what} {when}: now {show(judged.now)}, in {minutes:.3g} min "
        f"{show(judged.ahead)} ({show(judged.lower)} to {show(judged.upper)})."
    )
    return text if load is None else f"{text} {_contributions(load, minutes)}"


def _contributions(load: Load, minutes: float) -> str:
    whole = load.arrivals + load.queue
    by_arrivals, by_aht, by_agents = load.by_arrivals, load.by_aht, load.by_agents
    return (
        f"Load of the next {minutes:.3g} min: {whole:.0%} of what {load.agents:.3g} agents can do "
        f"= {load.arrivals:.0%} arrivals ({load.per_minute:.3g} a minute with an AHT of "
        f"{load.aht:.3g} s) + {load.queue:.0%} queue. Arrivals weigh "
        f"{by_arrivals * by_aht * by_agents:.2f} times what they did in past hours = "
        f"{by_arrivals:.2f} contacts x {by_aht:.2f} AHT x {by_agents:.2f} fewer agents."
    )


def _bounded(
    objective: Objective, objectives: Objectives, *, as_waits: bool
) -> tuple[str, Callable[[float], str]]:
    """Return the objective in words, and how its values are written."""
    if objective == "answer":
        within, ratio = objectives.answer_within_seconds, objectives.service_level_ratio
        what = f"{ratio:.3g} of contacts are answered within {within:.3g} s"
        return what, _seconds if as_waits else _rest
    if objective == "longest_wait":
        return f"nobody waits over {objectives.longest_wait_seconds:.3g} s", _seconds
    if objective == "abandonment":
        return f"at most {objectives.abandonment_ratio:.3g} of contacts give up", _share
    if objective == "backlog":
        return f"at most {objectives.backlog_contacts:.3g} contacts wait", _contacts
    if objective == "errors":
        return f"at most {objectives.errors_ratio:.3g} of requests fail", _share
    return f"latency is at most {objectives.request_seconds:.3g} s", _seconds


def _seconds(value: float) -> str:
    return f"{value:.3g} s"


def _contacts(value: float) -> str:
    return f"{value:.3g}"


def _share(value: float) -> str:
    return f"{value:.2g}"


def _rest(value: float) -> str:
    return f"{1.0 - min(value, 1.0):.2f}"
