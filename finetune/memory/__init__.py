"""Memory that fine-tuning takes: planned from a number of parameters or from a model, and measured."""
