"""Outcomes of runs: over seeds, in files and tables, and compared."""
