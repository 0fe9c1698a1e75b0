"""Graphics cards: which there are, whether they compute rightly, and holding their memory."""
