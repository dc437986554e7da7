"""Many hosts: how many at once, in which batches, and when to stop."""
