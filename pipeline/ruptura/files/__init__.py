"""Files that are shared between tools: recordings, and files that are replaced whole."""
