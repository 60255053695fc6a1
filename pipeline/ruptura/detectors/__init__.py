"""Online models of what is normal, built on River, one file each."""
