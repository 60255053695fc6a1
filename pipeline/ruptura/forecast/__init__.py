"""Time to breach of a service level objective: a queue where agents are known, else a trend."""
