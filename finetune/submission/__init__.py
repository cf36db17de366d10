"""Predictions in the files that gluebenchmark.com takes."""
