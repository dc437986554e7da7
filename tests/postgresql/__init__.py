"""A real PostgreSQL server for tests, and a relay in front of it that loses connections when it is told to."""
