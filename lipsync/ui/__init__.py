"""The screen: layout (components), handlers (events), jobs (a folder per job)."""
