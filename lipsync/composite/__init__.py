"""Putting a generated face back into its frame, and touching nothing else."""
