"""Where effects go: Kafka, Prometheus, files, and texts for people."""
