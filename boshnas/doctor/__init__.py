"""Whether a machine or a cluster is fit for a search: one file a subject, each check a line with a remedy."""
