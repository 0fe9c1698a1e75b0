"""Judges: how well the mouth of a written file follows its sound."""
