"""Whole campaigns in virtual time: the real loop over a table, on machines that are only reckoned with."""
