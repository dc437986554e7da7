"""Numbered migrations, run by alembic only when a store is older than this version of statectl."""
