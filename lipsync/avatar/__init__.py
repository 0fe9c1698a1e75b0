"""Avatars: clips prepared once, to speak many times."""
