"""The draft engine: a CPU, no downloads; mesh-driven warping of the clip's own pixels."""
