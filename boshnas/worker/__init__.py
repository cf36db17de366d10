"""Trains and scores one architecture: `python -m boshnas.worker JOB`."""
