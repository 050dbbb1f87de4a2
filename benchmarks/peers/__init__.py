"""Plain implementations of the same routes, to compare with."""
