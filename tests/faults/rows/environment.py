"""Environment: rows of promise tests."""
