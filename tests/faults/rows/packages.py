"""Packages: rows of promise tests."""
