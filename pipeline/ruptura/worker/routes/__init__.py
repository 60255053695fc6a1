"""How records reach the partition of their service."""
