"""What changes the weights: groups of parameters with their own rates, and optimizers that others lack."""
