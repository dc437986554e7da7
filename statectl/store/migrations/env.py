"""alembic's entry: migrates over the connection that the store hands in."""

from alembic import context

from statectl.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
context.run_migrations()
