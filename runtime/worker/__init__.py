"""The worker process: the template that it is forked from, and what runs user code in it."""
