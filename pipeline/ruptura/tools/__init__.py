"""What people run beside the worker, on recordings, topics and settings."""
