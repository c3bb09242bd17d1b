"""The processes that nobody types code into: hosts of the pure machines, wiring only."""
