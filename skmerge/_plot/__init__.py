"""The displays, one module each, and their common parts."""
