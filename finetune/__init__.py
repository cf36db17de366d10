"""Fine-tuning and scoring: one checkpoint in, task scores out."""
