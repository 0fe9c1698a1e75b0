"""The exit codes that `--help` promises; 1 is also Python's own for a fault of the program."""

EXIT_DONE = 0
EXIT_PARTLY = 1  # of several things asked for, some could not be done; the others are
EXIT_MENDABLE = 2
EXIT_INTERRUPTED = 130
