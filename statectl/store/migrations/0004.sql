-- What whoever looks later needs to read the same as who was there: why a run stopped, the code and the advice of a host's reason,
-- and when the status of a resource changed. A resource that was compliant from the first reading on has no row.

ALTER TABLE runs ADD COLUMN stop TEXT NOT NULL DEFAULT '{}';             -- JSON: errors, allowed, by, rollout ...
ALTER TABLE host_runs ADD COLUMN code VARCHAR(16) NOT NULL DEFAULT '';
ALTER TABLE host_runs ADD COLUMN hint TEXT NOT NULL DEFAULT '';

CREATE TABLE status_changes (
    at          VARCHAR(32) NOT NULL,
    run_id      VARCHAR(16) NOT NULL,
    host        VARCHAR(255) NOT NULL,
    association VARCHAR(64) NOT NULL,
    address     VARCHAR(4300) NOT NULL,
    before      VARCHAR(16) NOT NULL,           -- the empty text: read for the first time
    after       VARCHAR(16) NOT NULL,           -- the empty text: no longer declared
    reason      TEXT NOT NULL
);
CREATE INDEX status_changes_by_host ON status_changes (host, association, address);
