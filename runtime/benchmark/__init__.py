"""How fast raynb is on this machine, beside Ray: what `raynb microbenchmark` runs and prints.

`cases` has the rows, `table` what each is held to, `runner` starts the processes that measure,
`report` shows the results, and `command.run` is all of it in one call.
"""
