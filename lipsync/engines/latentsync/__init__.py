"""The LatentSync engine: a latent diffusion network that repaints the mouth to fit a voice."""
