"""What theory says of queues, and how far means of dependent values may stray from it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def erlang_a(
    arrivals: float, handle: float, patience: float, agents: int
) -> tuple[float, float, float]:
    """Return the share abandoned, the mean wait and the share that waits at all, for M/M/n+M.

    The stationary distribution of the birth and death process with birth rate `arrivals` and death
    rate min(k, n) / handle + max(k - n, 0) / patience (Garnett, Mandelbaum & Reiman, Designing a
    Call Center with Impatient Customers, MSOM 4(3), 2002). The wait is that of all, Little's law.
    """
    weights = [1.0]
    for k in range(1, agents + 400):
        leaving = min(k, agents) / handle + max(k - agents, 0) / patience
        weights.append(weights[-1] * arrivals / leaving)
    total = math.fsum(weights)
    queue = math.fsum(w * max(k - agents, 0) for k, w in enumerate(weights)) / total
    return (
        queue / patience / arrivals,
        queue / arrivals,
        math.fsum(weights[agents:]) / total,
    )


def batch_error(values: Floats, batches: int = 40) -> float:
    """Return the standard error of a mean of dependent values, by batch means."""
    means = values[: values.size // batches * batches].reshape(batches, -1).mean(axis=1)
    return float(means.std(ddof=1) / batches**0.5)
