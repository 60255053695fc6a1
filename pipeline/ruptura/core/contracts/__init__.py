"""What goes in and out of the core: types only."""
