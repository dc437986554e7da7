"""statectl: declarative state for any machine that answers SSH."""

__version__ = "0.1.0"
