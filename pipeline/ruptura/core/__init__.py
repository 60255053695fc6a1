"""The pure core: records and ticks in, effects out. No I/O, no clock, no chance."""
