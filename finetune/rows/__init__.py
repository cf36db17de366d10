"""Rows to learn from: read, checked, divided and labelled."""
