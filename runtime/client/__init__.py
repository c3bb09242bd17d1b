"""The client library: how a driver or a worker takes part in a cluster. One I/O thread owns the sockets and the
machine."""
