"""A model of what is normal for each family of series, one file each."""
