"""Which parameters of a model are trained: all of them, or few that are added or chosen."""
