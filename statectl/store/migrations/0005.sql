-- The order of insertion has columns of its own: not every database has a rowid. Stores that exist keep the order that they have
-- (what is read from rowid is left out where there is none: such a store is new).

ALTER TABLE runs ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET sequence = rowid;
CREATE INDEX runs_by_sequence ON runs (sequence);

ALTER TABLE host_runs ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
UPDATE host_runs SET sequence = rowid;
CREATE INDEX host_runs_by_sequence ON host_runs (sequence);

CREATE TABLE ordered_changes (
    sequence    INTEGER PRIMARY KEY,
    at          VARCHAR(32) NOT NULL,
    run_id      VARCHAR(16) NOT NULL,
    host        VARCHAR(255) NOT NULL,
    association VARCHAR(64) NOT NULL,
    address     VARCHAR(4300) NOT NULL,
    before      VARCHAR(16) NOT NULL,           -- the empty text: read for the first time
    after       VARCHAR(16) NOT NULL,           -- the empty text: no longer declared
    reason      TEXT NOT NULL
);
INSERT INTO ordered_changes SELECT rowid, at, run_id, host, association, address, before, after, reason FROM status_changes;
DROP TABLE status_changes;
ALTER TABLE ordered_changes RENAME TO status_changes;
CREATE INDEX status_changes_by_host ON status_changes (host, association, address);
