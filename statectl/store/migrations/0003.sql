-- Schedules: what was decided about each association, each slot of it once, and who decides. A variant is the target expression of
-- the entry of `where` that gives another schedule, '' for the association's own.

CREATE TABLE schedules (
    association VARCHAR(64) NOT NULL,
    variant     VARCHAR(1000) NOT NULL,
    last        VARCHAR(32) NOT NULL,           -- UTC: the slot decided about last, or when it was first seen
    definition  VARCHAR(64) NOT NULL,           -- hash of the association and of the files that it names
    PRIMARY KEY (association, variant)
);

CREATE TABLE slots (
    association VARCHAR(64) NOT NULL,
    variant     VARCHAR(1000) NOT NULL,
    scheduled   VARCHAR(32) NOT NULL,           -- UTC, as the schedule says
    state       VARCHAR(16) NOT NULL,           -- due | running | done | failed | missed | skipped | interrupted
    cause       VARCHAR(16) NOT NULL,           -- schedule | edit
    process     VARCHAR(160) NOT NULL,          -- that claimed it
    run_ids     TEXT NOT NULL,                  -- separated by spaces: hosts with different delays are different runs
    decided     VARCHAR(32) NOT NULL,
    ended       VARCHAR(32),
    reason      TEXT NOT NULL,
    PRIMARY KEY (association, variant, scheduled)
);
CREATE INDEX slots_by_state ON slots (state, association, variant);

CREATE TABLE schedulers (
    process     VARCHAR(160) PRIMARY KEY,
    who         VARCHAR(128) NOT NULL,
    started     VARCHAR(32) NOT NULL,
    heard       VARCHAR(32) NOT NULL
);
