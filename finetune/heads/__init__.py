"""What a model reads of a task and what it answers, one head a problem."""
