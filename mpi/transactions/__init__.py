"""One file per IHE transaction, found by its name."""
