"""The runtime: processes, scheduling and the object store."""
