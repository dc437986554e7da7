"""Disk: rows of promise tests."""
