-- The first tables. Times are UTC in ISO 8601 text, which sorts and reads the same in every database.
-- One row per host and run holds all resource results in one compressed blob; only what changed or failed has rows of its
-- own; `current_states` is overwritten in place and answers compliance.

CREATE TABLE runs (
    id          VARCHAR(16) PRIMARY KEY,
    verb        VARCHAR(16) NOT NULL,           -- plan | apply | drift | run
    started     VARCHAR(32) NOT NULL,
    ended       VARCHAR(32),                    -- null: still running, or interrupted
    who         VARCHAR(128) NOT NULL,          -- user@controller
    git_commit  VARCHAR(64) NOT NULL,
    plan_id     VARCHAR(16) NOT NULL,
    scope       TEXT NOT NULL,                  -- JSON: associations, target, only, prune ...
    outcome     VARCHAR(16),                    -- done | failed | refused | interrupted
    counts      TEXT                            -- JSON
);
CREATE INDEX runs_by_start ON runs (started);

CREATE TABLE host_runs (
    run_id      VARCHAR(16) NOT NULL,
    host        VARCHAR(255) NOT NULL,
    outcome     VARCHAR(16) NOT NULL,
    reason      TEXT NOT NULL,
    started     VARCHAR(32) NOT NULL,
    ended       VARCHAR(32) NOT NULL,
    results     BLOB,                           -- zlib of a JSON list, one object a resource
    PRIMARY KEY (run_id, host)
);

CREATE TABLE deviations (
    run_id      VARCHAR(16) NOT NULL,
    host        VARCHAR(255) NOT NULL,
    address     VARCHAR(4300) NOT NULL,
    association VARCHAR(64) NOT NULL,
    outcome     VARCHAR(16) NOT NULL,           -- changed | failed | pending | drifted
    kind        VARCHAR(16) NOT NULL,           -- intended | corrective
    detail      TEXT NOT NULL,                  -- JSON: changes, reason, error
    PRIMARY KEY (run_id, host, address)
);
CREATE INDEX deviations_by_host ON deviations (host, address);

CREATE TABLE current_states (
    host        VARCHAR(255) NOT NULL,
    association VARCHAR(64) NOT NULL,
    address     VARCHAR(4300) NOT NULL,
    status      VARCHAR(16) NOT NULL,           -- compliant | pending | drifted | failed | unknown | exempt
    since       VARCHAR(32) NOT NULL,           -- when it entered this status
    checked     VARCHAR(32) NOT NULL,           -- when the host was last really read
    run_id      VARCHAR(16) NOT NULL,
    reason      TEXT NOT NULL,
    PRIMARY KEY (host, association, address)
);

CREATE TABLE host_states (
    host         VARCHAR(255) PRIMARY KEY,
    host_id      VARCHAR(64) NOT NULL,
    facts        BLOB,                          -- zlib of JSON
    facts_at     VARCHAR(32),
    memory       BLOB,                          -- zlib of JSON: the host's ledger and debts as last seen
    memory_at    VARCHAR(32),
    run_counter  INTEGER NOT NULL,              -- fencing: the highest number this host has shown
    last_contact VARCHAR(32),
    last_outcome VARCHAR(16) NOT NULL,
    last_reason  TEXT NOT NULL
);

CREATE TABLE plans (
    id          VARCHAR(16) PRIMARY KEY,
    created     VARCHAR(32) NOT NULL,
    expires     VARCHAR(32) NOT NULL,
    applied     VARCHAR(32),
    has_changes INTEGER NOT NULL,
    document    BLOB NOT NULL                   -- zlib of the plan's JSON
);

-- Each row holds the hash of the one before: to change or drop one is to break the chain.
CREATE TABLE audit (
    sequence    INTEGER PRIMARY KEY,
    at          VARCHAR(32) NOT NULL,
    who         VARCHAR(128) NOT NULL,
    action      VARCHAR(64) NOT NULL,
    detail      TEXT NOT NULL,
    previous    VARCHAR(64) NOT NULL,
    hash        VARCHAR(64) NOT NULL
);
