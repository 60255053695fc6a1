"""Settings to an engine: where the parts are put together."""
