"""The plan as a value: what would change where, folded for people, saved for CI, applied once."""
