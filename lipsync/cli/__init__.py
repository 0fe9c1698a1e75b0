"""The command line, a thin client of the pipeline: arguments, commands, progress, report."""
