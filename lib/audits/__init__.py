"""What the papers' own printed numbers imply, recomputed without any training."""
