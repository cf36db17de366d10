"""Search methods side by side on a table whose rows are all measured."""
