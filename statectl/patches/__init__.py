"""Patching, the controller's part with a memory: when versions were first seen, advisories, kept packages, what was installed where."""
