"""Faust's Kafka driver, made to hand agents whole batches of records."""
