"""Search models over a grid of parameters: stacks of models, checkpoints, confidence regions."""
