"""A contact centre in which ruptures are known: it makes recordings with labels.

It knows nothing of how ruptures are detected.
"""

from ruptura.simulator.labels import ChannelName, Labels, NonEvent, Rupture
from ruptura.simulator.library import shipped
from ruptura.simulator.loading import load_scenario
from ruptura.simulator.scenario import Scenario
from ruptura.simulator.simulation import Simulation, simulate

__all__ = [
    "ChannelName",
    "Labels",
    "NonEvent",
    "Rupture",
    "Scenario",
    "Simulation",
    "load_scenario",
    "shipped",
    "simulate",
]
