"""The pure core: machines that take events and return effects. No sockets, threads, clocks, randomness or
environment."""
