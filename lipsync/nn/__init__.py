"""What several networks share: files of weights, taken wholly or not at all."""
