"""The displays, one module each, and what they share."""
