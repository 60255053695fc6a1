"""Effects to Prometheus metrics: counters of what was done, gauges of where things stand."""
