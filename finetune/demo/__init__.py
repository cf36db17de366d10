"""Synthetic tasks in the shape of GLUE."""
