-- Patch operations: every scan and every install of a host by a baseline, none of which replaces another. A row of the list of patches (a
-- package, its versions, its state and why) that is the same on many hosts is kept once, by the digest of its text, and so is the list.

CREATE TABLE patch_rows (
    id          INTEGER PRIMARY KEY,
    digest      VARCHAR(40) NOT NULL,
    text        TEXT NOT NULL                   -- JSON: name, arch, from, to, state, ... as in the reports
);
CREATE UNIQUE INDEX patch_rows_by_digest ON patch_rows (digest);

CREATE TABLE patch_lists (
    digest      VARCHAR(40) PRIMARY KEY,
    entries     BLOB NOT NULL                   -- zlib of the ids of its rows, four bytes each, ascending
);

CREATE TABLE patch_operations (
    run_id      VARCHAR(16) NOT NULL,
    host        VARCHAR(255) NOT NULL,
    baseline    VARCHAR(128) NOT NULL,
    operation   VARCHAR(8) NOT NULL,            -- scan | install
    sequence    INTEGER NOT NULL,
    git_commit  VARCHAR(64) NOT NULL,
    started     VARCHAR(32) NOT NULL,
    ended       VARCHAR(32) NOT NULL,
    compliant   INTEGER NOT NULL,
    level       VARCHAR(16) NOT NULL,           -- the worst of what is not compliant
    unknown     TEXT NOT NULL,                  -- why nothing can be said, the empty text when it can
    list        VARCHAR(40) NOT NULL,           -- of patch_lists
    detail      TEXT NOT NULL,                  -- JSON: counts, age of the indexes, what was old, what waits for a restart, options
    PRIMARY KEY (run_id, host, baseline, operation)
);
CREATE INDEX patch_operations_by_host ON patch_operations (host, baseline, sequence);
CREATE UNIQUE INDEX patch_operations_by_sequence ON patch_operations (sequence);
CREATE INDEX patch_operations_by_end ON patch_operations (ended);

CREATE TABLE patch_moves (
    run_id      VARCHAR(16) NOT NULL,
    host        VARCHAR(255) NOT NULL,
    baseline    VARCHAR(128) NOT NULL,
    place       INTEGER NOT NULL,
    at          VARCHAR(32) NOT NULL,
    name        VARCHAR(255) NOT NULL,
    arch        VARCHAR(64) NOT NULL,
    version_from TEXT NOT NULL,                 -- the empty text: it was not there
    version_to  TEXT NOT NULL,                  -- the empty text: it was removed
    outcome     VARCHAR(16) NOT NULL,           -- installed | failed | kept
    reason      TEXT NOT NULL,
    PRIMARY KEY (run_id, host, baseline, place)
);
CREATE INDEX patch_moves_by_host ON patch_moves (host, at);
CREATE INDEX patch_moves_by_name ON patch_moves (name, at);
