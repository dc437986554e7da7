"""The tables. Times are UTC in ISO 8601 text, which sorts and reads the same in every database.

One row per host and run holds all resource results in one compressed blob; only what changed or failed has rows of its own;
`current` is overwritten in place and answers compliance.
"""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

HEAD = "0001"  # the newest migration; a test compares it with the migrations themselves

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("verb", String(16), nullable=False),  # plan | apply | drift | run
    Column("started", String(32), nullable=False),
    Column("ended", String(32)),  # null: still running, or interrupted
    Column("who", String(128), nullable=False),  # user@controller
    Column("git_commit", String(64), nullable=False, default=""),
    Column("plan_id", String(16), nullable=False, default=""),
    Column("scope", Text, nullable=False),  # JSON: associations, target, only, prune ...
    Column("outcome", String(16)),  # done | failed | refused | interrupted
    Column("counts", Text),  # JSON
)

host_runs = Table(
    "host_runs",
    metadata,
    Column("run_id", String(16), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("started", String(32), nullable=False),
    Column("ended", String(32), nullable=False),
    Column("results", LargeBinary),  # zlib of a JSON list, one object a resource
)

deviations = Table(
    "deviations",
    metadata,
    Column("run_id", String(16), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("address", String(1024), primary_key=True),
    Column("association", String(64), nullable=False, default=""),
    Column("outcome", String(16), nullable=False),  # changed | failed | drifted
    Column("kind", String(16), nullable=False, default=""),  # intended | corrective
    Column("detail", Text, nullable=False),  # JSON: changes, reason, error
)
Index("deviations_by_host", deviations.c.host, deviations.c.address)

current = Table(
    "current",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("association", String(64), primary_key=True),
    Column("address", String(1024), primary_key=True),
    Column("status", String(16), nullable=False),  # compliant | pending | drifted | failed | unknown | exempt
    Column("since", String(32), nullable=False),  # when it entered this status
    Column("checked", String(32), nullable=False),  # when the host was last really read
    Column("run_id", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
)
Index("current_by_association", current.c.association, current.c.status)

host_states = Table(
    "host_states",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("host_id", String(64), nullable=False, default=""),
    Column("facts", LargeBinary),  # zlib of JSON
    Column("facts_at", String(32)),
    Column("memory", LargeBinary),  # zlib of JSON: the host's ledger and debts as last seen
    Column("memory_at", String(32)),
    Column("run_counter", Integer, nullable=False, default=0),  # fencing: the highest number this host has shown
    Column("last_contact", String(32)),
    Column("last_outcome", String(16), nullable=False, default=""),
    Column("last_reason", Text, nullable=False, default=""),
)

plans = Table(
    "plans",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("created", String(32), nullable=False),
    Column("expires", String(32), nullable=False),
    Column("applied", String(32)),
    Column("has_changes", Boolean, nullable=False),
    Column("document", LargeBinary, nullable=False),  # zlib of the plan's JSON
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("at", String(32), nullable=False),
    Column("who", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
