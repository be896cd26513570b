-- The registry: which machines are ours.
CREATE TABLE nodes (
    name      TEXT    PRIMARY KEY,
    cluster   TEXT    NOT NULL,
    node_uid  TEXT    NOT NULL,
    profile   TEXT    NOT NULL,
    ek_digest BLOB    NOT NULL UNIQUE,
    ak_public BLOB    NOT NULL,
    ak_name   BLOB    NOT NULL UNIQUE,
    root      TEXT    NOT NULL,
    root_kind TEXT    NOT NULL CHECK (root_kind IN ('production', 'test')),
    approved  INTEGER NOT NULL CHECK (approved IN (0, 1)),
    enrolled  INTEGER NOT NULL,
    last_seen INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- One-time permissions to join: only the token's hash is known here.
CREATE TABLE join_tokens (
    digest   BLOB    PRIMARY KEY,
    cluster  TEXT    NOT NULL,
    -- Empty: any node.
    node     TEXT    NOT NULL,
    expires  INTEGER NOT NULL,
    -- Null until a node joined with it.
    consumed INTEGER
) STRICT, WITHOUT ROWID;
