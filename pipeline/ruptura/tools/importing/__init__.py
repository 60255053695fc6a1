"""Import: exports of ticket systems and files of measurements become recordings."""
