"""What several networks share: files of weights, and how grids of places mean boxes."""
