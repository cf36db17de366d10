"""Masked language modelling: one job in, one checkpoint out."""
