-- Collected inventory. An entry (a package, a service, an account) that is the same on many hosts is kept once, by the digest of its
-- text. What a host has of a type at one time is a list of their numbers: a row here only when it is another than before.

CREATE TABLE collected_entries (
    id          INTEGER PRIMARY KEY,
    type        VARCHAR(80) NOT NULL,
    name        VARCHAR(2048) NOT NULL,         -- what an expression calls it, the empty text for none
    digest      VARCHAR(40) NOT NULL,
    entry       TEXT NOT NULL                   -- JSON: attribute to value
);
CREATE UNIQUE INDEX collected_entries_by_digest ON collected_entries (digest);
CREATE INDEX collected_entries_by_name ON collected_entries (type, name);

CREATE TABLE collected_snapshots (
    host        VARCHAR(255) NOT NULL,
    type        VARCHAR(80) NOT NULL,
    at          VARCHAR(32) NOT NULL,           -- UTC: from then on
    entries     BLOB NOT NULL,                  -- zlib of their ids, four bytes each, ascending
    moments     BLOB,                           -- zlib of eight bytes each, seconds since 1970: the time that is the host's own, in the same order
    PRIMARY KEY (host, type, at)
);

CREATE TABLE collected_types (
    host        VARCHAR(255) NOT NULL,
    type        VARCHAR(80) NOT NULL,
    hash        VARCHAR(64) NOT NULL,           -- as the host said it, the empty text: to be told again
    since       VARCHAR(32) NOT NULL,           -- of the snapshot in force, the empty text: never collected
    checked     VARCHAR(32) NOT NULL,           -- when the host was last really read
    tried       VARCHAR(32) NOT NULL,
    state       VARCHAR(16) NOT NULL,           -- content | absent | failed | timed out
    reason      TEXT NOT NULL,
    left_out    INTEGER NOT NULL,               -- entries that were too many
    latest      BLOB,                           -- zlib of JSON: entries of a type of which only the latest are kept
    PRIMARY KEY (host, type)
);
CREATE INDEX collected_types_by_type ON collected_types (type);
