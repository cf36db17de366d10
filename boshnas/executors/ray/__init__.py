"""Evaluations as tasks of a Ray cluster."""
