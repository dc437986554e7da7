"""Volume: rows of promise tests."""
