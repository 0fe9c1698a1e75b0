"""Files in and out: probing, frames, sound and the timeline that joins them."""
