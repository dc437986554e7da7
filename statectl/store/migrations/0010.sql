-- What is remembered of patches: the latest scan of each host, when each version was first seen in an archive, frozen snapshots, feeds of
-- vulnerabilities, package files that are kept, and how far the reading of indexes is. Times are UTC in ISO 8601 text.

CREATE TABLE patch_scans (
    host        VARCHAR(255) PRIMARY KEY,
    at          VARCHAR(32) NOT NULL,           -- of the scan that is kept, the empty text: none could be believed so far
    run_id      VARCHAR(16) NOT NULL,
    head        BLOB,                           -- zlib of JSON: the scan without its parts
    installed   BLOB,                           -- zlib of JSON: since when each version is known to be installed
    first_at    VARCHAR(32) NOT NULL,           -- of the first scan that is known
    tried       VARCHAR(32) NOT NULL,
    tried_run   VARCHAR(16) NOT NULL,
    trouble     TEXT NOT NULL                   -- why the latest one could not be believed
);
CREATE TABLE patch_scan_parts (
    host        VARCHAR(255) NOT NULL,
    part        VARCHAR(16) NOT NULL,           -- installed | available | advisories | changelogs
    digest      VARCHAR(40) NOT NULL,
    PRIMARY KEY (host, part)
);
CREATE INDEX patch_scan_parts_by_digest ON patch_scan_parts (digest);
CREATE TABLE patch_contents (                   -- what is the same on many hosts is kept once
    digest      VARCHAR(40) PRIMARY KEY,
    content     BLOB NOT NULL                   -- zlib of JSON
);

CREATE TABLE patch_archives (
    archive     VARCHAR(512) PRIMARY KEY,
    since       VARCHAR(32) NOT NULL,           -- when it was first seen
    first_date  INTEGER NOT NULL,               -- when it said then that it was made, seconds since 1970, 0: it did not say
    last_date   INTEGER NOT NULL
);
CREATE TABLE patch_seen (
    id          INTEGER PRIMARY KEY,
    archive     VARCHAR(512) NOT NULL,
    package     VARCHAR(256) NOT NULL,
    arch        VARCHAR(64) NOT NULL,
    version     VARCHAR(256) NOT NULL,
    sha256      VARCHAR(64) NOT NULL,           -- the empty text: whoever saw it did not know
    first_seen  VARCHAR(32) NOT NULL,
    seeded      INTEGER NOT NULL,               -- 1: it was there already when the archive was first seen
    security    INTEGER NOT NULL,
    attributes  TEXT NOT NULL                   -- JSON: section, priority, source, size, built
);
CREATE UNIQUE INDEX patch_seen_by_version ON patch_seen (package, arch, version, archive, sha256);
CREATE INDEX patch_seen_by_time ON patch_seen (first_seen);
CREATE TABLE patch_seen_advisories (
    seen        INTEGER NOT NULL,
    advisory    VARCHAR(256) NOT NULL,
    first_seen  VARCHAR(32) NOT NULL,
    PRIMARY KEY (seen, advisory)
);

CREATE TABLE patch_snapshots (
    id          VARCHAR(128) PRIMARY KEY,
    created     VARCHAR(32) NOT NULL,
    as_of       VARCHAR(32) NOT NULL,           -- what was first seen later is out
    baselines   BLOB NOT NULL,                  -- zlib of JSON
    made_by     VARCHAR(128) NOT NULL
);

CREATE TABLE patch_feeds (
    feed        VARCHAR(64) PRIMARY KEY,
    kind        VARCHAR(16) NOT NULL,           -- debian | osv | oval
    location    TEXT NOT NULL,                  -- file or URL
    made        VARCHAR(32) NOT NULL,           -- as it says itself, the empty text: it does not
    fetched     VARCHAR(32) NOT NULL,           -- when the data that are kept were read, the empty text: never
    entries     INTEGER NOT NULL,
    validators  TEXT NOT NULL,                  -- JSON: what tells that nothing is new: etag, last_modified, digest
    tried       VARCHAR(32) NOT NULL,
    trouble     TEXT NOT NULL                   -- why the latest reading failed, the empty text: it did not
);
CREATE TABLE patch_fixes (
    feed        VARCHAR(64) NOT NULL,           -- a word in brackets: from changelogs of hosts
    package     VARCHAR(256) NOT NULL,          -- name of a source package or of a package
    fixes       BLOB NOT NULL,                  -- zlib of JSON: a list, one a vulnerability and release
    PRIMARY KEY (feed, package)
);
CREATE INDEX patch_fixes_by_package ON patch_fixes (package);
CREATE TABLE patch_known_cves (
    cve         VARCHAR(64) PRIMARY KEY,
    since       VARCHAR(32) NOT NULL            -- when this store first heard of it
);

CREATE TABLE patch_files (                      -- package files in the cache
    sha256      VARCHAR(64) PRIMARY KEY,
    package     VARCHAR(256) NOT NULL,
    arch        VARCHAR(64) NOT NULL,
    version     VARCHAR(256) NOT NULL,
    archive     VARCHAR(512) NOT NULL,
    size        INTEGER NOT NULL,
    stored      VARCHAR(32) NOT NULL,
    used        VARCHAR(32) NOT NULL            -- when it was last delivered or asked for by an index
);

CREATE TABLE patch_polls (
    poll        VARCHAR(512) PRIMARY KEY,       -- one suite of one index, or one repository
    read_at     VARCHAR(32) NOT NULL,           -- when it was last read whole, or found to be unchanged, the empty text: never
    made        VARCHAR(32) NOT NULL,           -- as it says itself
    packages    INTEGER NOT NULL,
    validators  TEXT NOT NULL,                  -- JSON
    tried       VARCHAR(32) NOT NULL,
    trouble     TEXT NOT NULL
);
