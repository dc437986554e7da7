-- Which versions of parameters the files on a host were made with, at its last apply that came to its end.

CREATE TABLE parameter_uses (
    host     VARCHAR(255) NOT NULL,
    selector VARCHAR(1200) NOT NULL,     -- as templates ask: a name, or a name with a version or a label
    version  INTEGER NOT NULL,           -- that it was; 0: it was never put, and seen as the files declare it
    run_id   VARCHAR(16) NOT NULL,
    at       VARCHAR(32) NOT NULL,
    PRIMARY KEY (host, selector)
);
CREATE INDEX parameter_uses_by_selector ON parameter_uses (selector);
