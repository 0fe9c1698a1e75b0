"""Faces: found, followed through the clip, and aligned to an engine's template."""
