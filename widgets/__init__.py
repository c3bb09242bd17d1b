"""Notebook widgets: views of a cluster, its tasks and its objects."""
