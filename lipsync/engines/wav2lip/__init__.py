"""The Wav2Lip engine: a small network that paints the lower half of a 96 px face to fit a voice."""
