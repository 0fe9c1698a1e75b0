"""What engines and judges hear: features of a voice."""
