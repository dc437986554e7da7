"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("verb", sa.String(16), nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("ended", sa.String(32)),
        sa.Column("who", sa.String(128), nullable=False),
        sa.Column("git_commit", sa.String(64), nullable=False),
        sa.Column("plan_id", sa.String(16), nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("counts", sa.Text),
    )
    op.create_table(
        "host_runs",
        sa.Column("run_id", sa.String(16), primary_key=True),
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("ended", sa.String(32), nullable=False),
        sa.Column("results", sa.LargeBinary),
    )
    op.create_table(
        "deviations",
        sa.Column("run_id", sa.String(16), primary_key=True),
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("address", sa.String(1024), primary_key=True),
        sa.Column("association", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("deviations_by_host", "deviations", ["host", "address"])
    op.create_table(
        "current",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("association", sa.String(64), primary_key=True),
        sa.Column("address", sa.String(1024), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
        sa.Column("checked", sa.String(32), nullable=False),
        sa.Column("run_id", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("current_by_association", "current", ["association", "status"])
    op.create_table(
        "host_states",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("host_id", sa.String(64), nullable=False),
        sa.Column("facts", sa.LargeBinary),
        sa.Column("facts_at", sa.String(32)),
        sa.Column("memory", sa.LargeBinary),
        sa.Column("memory_at", sa.String(32)),
        sa.Column("run_counter", sa.Integer, nullable=False),
        sa.Column("last_contact", sa.String(32)),
        sa.Column("last_outcome", sa.String(16), nullable=False),
        sa.Column("last_reason", sa.Text, nullable=False),
    )
    op.create_table(
        "plans",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("expires", sa.String(32), nullable=False),
        sa.Column("applied", sa.String(32)),
        sa.Column("has_changes", sa.Boolean, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("who", sa.String(128), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    raise RuntimeError("a store is not taken back to an older version; restore a backup")
