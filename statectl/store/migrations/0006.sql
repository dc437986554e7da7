-- Parameters: every version of each, those of deleted ones with them until they are swept. A place is the bytes of the name with its
-- leading slash, so that `X` and `/X` are one, and so that order and ranges are the same on every database. Deleted and made anew, a
-- parameter counts from 1 again: a life is one time from being made to being deleted.

CREATE TABLE parameter_versions (
    place           BLOB NOT NULL,
    life            VARCHAR(16) NOT NULL,
    version         INTEGER NOT NULL,
    is_current      INTEGER NOT NULL,           -- 1: the latest version of a parameter that is there
    name            VARCHAR(1024) NOT NULL,     -- as it was written
    type            VARCHAR(16) NOT NULL,
    data_type       VARCHAR(64) NOT NULL,
    value           TEXT,                       -- null: it is encrypted, or was when it was deleted
    cipher          BLOB,                       -- nonce and ciphertext under the data key
    data_key        BLOB,                       -- the data key, wrapped by the outer key
    key_id          VARCHAR(2048),              -- which outer key
    description     TEXT NOT NULL,
    allowed_pattern TEXT NOT NULL,
    policies        TEXT NOT NULL,              -- JSON list
    expires         VARCHAR(32),
    modified        VARCHAR(32) NOT NULL,
    who             VARCHAR(256) NOT NULL,
    why             TEXT NOT NULL,
    deleted         VARCHAR(32),
    deleted_by      VARCHAR(256),
    PRIMARY KEY (place, life, version)
);
CREATE UNIQUE INDEX parameter_versions_current ON parameter_versions (place) WHERE is_current = 1;
CREATE INDEX parameter_versions_expiring ON parameter_versions (expires) WHERE is_current = 1 AND expires IS NOT NULL;
CREATE INDEX parameter_versions_deleted ON parameter_versions (deleted) WHERE deleted IS NOT NULL;

CREATE INDEX parameter_versions_by_key ON parameter_versions (key_id) WHERE cipher IS NOT NULL;

CREATE TABLE parameter_labels (
    place           BLOB NOT NULL,
    life            VARCHAR(16) NOT NULL,
    label           VARCHAR(100) NOT NULL,
    version         INTEGER NOT NULL,
    PRIMARY KEY (place, life, label)
);

CREATE TABLE parameter_tags (
    place           BLOB NOT NULL,
    life            VARCHAR(16) NOT NULL,
    tag             VARCHAR(128) NOT NULL,
    value           VARCHAR(256) NOT NULL,
    PRIMARY KEY (place, life, tag)
);

-- Notices of policies that were sent; the moment at which one was due tells it from the next one of the same kind.
CREATE TABLE parameter_notices (
    place           BLOB NOT NULL,
    life            VARCHAR(16) NOT NULL,
    policy          VARCHAR(32) NOT NULL,
    due             VARCHAR(32) NOT NULL,
    sent            VARCHAR(32) NOT NULL,
    PRIMARY KEY (place, life, policy, due)
);

-- What the files of a project declared and an apply put: so that what somebody changed since, and what nobody declares any more, is known.
CREATE TABLE declared_parameters (
    project        VARCHAR(255) NOT NULL,
    name           VARCHAR(1024) NOT NULL,
    association    VARCHAR(64) NOT NULL,        -- that owns it; the empty text: the project
    version        INTEGER NOT NULL,            -- that was put; 0: declared absent
    modified       VARCHAR(32) NOT NULL,        -- when that version was written; the empty text until it is there
    made           INTEGER NOT NULL,            -- 1: it was not there before
    before_version INTEGER,                     -- that was there before the first put
    file           VARCHAR(4096) NOT NULL,
    line           INTEGER NOT NULL,
    run_id         VARCHAR(16) NOT NULL,
    at             VARCHAR(32) NOT NULL,
    PRIMARY KEY (project, name)
);
