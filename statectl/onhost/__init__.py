"""The part that travels to a host: standard library only, Python 3.6 and later, imports nothing of the rest."""
