"""Controller: rows of promise tests."""
