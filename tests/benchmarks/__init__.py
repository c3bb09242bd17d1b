"""Measurements that need a browser; those that don't are `raynb microbenchmark`."""
