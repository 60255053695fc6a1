"""What is normal for a series, and how surprising what was seen is."""
