"""Use cases of the index, one per file: load, decide, save — each once, in that order."""
