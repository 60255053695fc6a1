"""The state of the engine on Kafka, and back."""
