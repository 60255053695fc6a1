"""The demo: an embedded broker, a real worker, real events, and a screen to watch them on."""
