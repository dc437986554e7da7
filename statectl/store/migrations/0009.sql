-- What a group of hosts is made of: which project applied, and tags that people set beside those of the inventory.

ALTER TABLE runs ADD COLUMN project VARCHAR(64) NOT NULL DEFAULT '';   -- the empty text: from before it was noted

CREATE TABLE host_tags (
    host     VARCHAR(255) NOT NULL,
    tag      VARCHAR(128) NOT NULL,
    value    VARCHAR(256) NOT NULL,
    set_at   VARCHAR(32) NOT NULL,
    set_by   VARCHAR(128) NOT NULL,
    PRIMARY KEY (host, tag)
);
