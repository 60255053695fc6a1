"""The worker: a Faust app that feeds the engine from Kafka."""
