-- Runs under way: which process works on them and when it was last heard of, how far each host is, who asked for an end, and
-- what was told so far, for those who follow. The messages go when the run ends.

ALTER TABLE runs ADD COLUMN process VARCHAR(160) NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN heard VARCHAR(32);
ALTER TABLE runs ADD COLUMN cancelled_by VARCHAR(128) NOT NULL DEFAULT '';

CREATE TABLE run_targets (
    run_id      VARCHAR(16) NOT NULL,
    host        VARCHAR(255) NOT NULL,
    position    INTEGER NOT NULL,
    begun       VARCHAR(32),                    -- null: not told to go
    PRIMARY KEY (run_id, host)
);

CREATE TABLE run_messages (
    run_id      VARCHAR(16) NOT NULL,
    sequence    INTEGER NOT NULL,
    host        VARCHAR(255) NOT NULL,
    message     TEXT NOT NULL,
    PRIMARY KEY (run_id, sequence)
);
