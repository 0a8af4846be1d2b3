"""How parameters are learned: batches, loop, checkpoints."""
