"""Pure rules of the index: no wire, no database, no clock, no I/O."""
