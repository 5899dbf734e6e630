"""The best open linkers of today, run on the same files as ours."""
