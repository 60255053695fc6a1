"""How good the detection is, told in figures that others defined."""
