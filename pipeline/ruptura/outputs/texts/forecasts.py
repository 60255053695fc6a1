"""A forecast in words, with what it comes from."""

from __future__ import annotations

from collections.abc import Callable

from ruptura.core.contracts.facts import Breach, Load


def sentence(breach: Breach) -> str:
    """Say what is to come, when, and what adds up to it."""
    minutes = breach.horizon_seconds / 60.0
    if breach.seconds == 0.0:
        when = "is broken now"
    else:
        when = f"will be broken within {minutes:.3g} min with probability {breach.probability:.2g}"
        if breach.seconds is not None:
            when += f", most likely in {breach.seconds / 60.0:.1f} min"
    what, show = _bounded(breach)
    text = (
        f"The objective that {what} {when}: now {show(breach.now)}, in {minutes:.3g} min "
        f"{show(breach.ahead)} ({show(breach.lower)} to {show(breach.upper)})."
    )
    return text if breach.load is None else f"{text} {_contributions(breach.load, minutes)}"


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


def _bounded(breach: Breach) -> tuple[str, Callable[[float], str]]:
    """Return the objective in words, and how its values are written."""
    limit = breach.limit
    if breach.objective == "answer":
        what = f"{limit:.3g} of contacts are answered within {breach.within_seconds or 0.0:.3g} s"
        return what, _seconds if breach.as_waits else _rest
    if breach.objective == "longest_wait":
        return f"nobody waits over {limit:.3g} s", _seconds
    if breach.objective == "abandonment":
        return f"at most {limit:.3g} of contacts give up", _share
    if breach.objective == "backlog":
        return f"at most {limit:.3g} contacts wait", _contacts
    if breach.objective == "errors":
        return f"at most {limit:.3g} of requests fail", _share
    return f"latency is at most {limit:.3g} s", _seconds


def _seconds(value: float) -> str:
    return f"{value:.3g} s"


def _contacts(value: float) -> str:
    return f"{value:.3g}"


def _share(value: float) -> str:
    return f"{value:.2g}"


def _rest(value: float) -> str:
    return f"{1.0 - min(value, 1.0):.2f}"
