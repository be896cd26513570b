-- The log: entries in order, and its newest head.
CREATE TABLE log_entries (
    position INTEGER PRIMARY KEY,
    audit_id TEXT    NOT NULL UNIQUE,
    entry    BLOB    NOT NULL,
    leaf     BLOB    NOT NULL
) STRICT;

CREATE TABLE log_head (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    size       INTEGER NOT NULL,
    -- Peaks of the tree, 32 bytes each.
    frontier   BLOB    NOT NULL,
    -- C2SP signed note.
    checkpoint TEXT    NOT NULL
) STRICT;

-- Challenges that were used; a second insertion is a replay.
CREATE TABLE spent_challenges (
    digest  BLOB    PRIMARY KEY,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_challenges_by_expiry ON spent_challenges (expires);
