"""Recipes that make the numbers in `assets/`; one linear, runnable file each."""
