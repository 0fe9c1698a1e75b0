"""The exit codes that `--help` promises; 1 is Python's own for a fault of the program."""

EXIT_DONE = 0
EXIT_MENDABLE = 2
EXIT_INTERRUPTED = 130
