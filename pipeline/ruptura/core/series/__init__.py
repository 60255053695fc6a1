"""Which series there are, what each of them means, and how tickets become series."""
