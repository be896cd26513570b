-- What is said about a secret. A deleted one keeps its row, so that no version number ever comes back.
CREATE TABLE secrets (
    name     TEXT    PRIMARY KEY,
    version  INTEGER NOT NULL,
    -- Words in order, each followed by one space.
    accepts  TEXT    NOT NULL,
    changed  INTEGER NOT NULL,
    releases INTEGER NOT NULL DEFAULT 0,
    deleted  INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Values: a data key per version encrypts the value, the KEK wraps the data key, both are bound to name, version and metadata.
CREATE TABLE secret_versions (
    name        TEXT    NOT NULL REFERENCES secrets (name),
    version     INTEGER NOT NULL,
    data_key_id BLOB    NOT NULL UNIQUE,
    data_key    BLOB    NOT NULL,
    ciphertext  BLOB    NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
