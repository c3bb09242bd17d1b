"""The world behind the ports: sockets, files, shared memory, processes, Redis, SQLite."""
