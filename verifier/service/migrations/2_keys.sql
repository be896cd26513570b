-- The verifier's keys; every private half is wrapped by the KEK and bound to its row.
CREATE TABLE keys (
    purpose   TEXT    NOT NULL,
    epoch     INTEGER NOT NULL,
    public    BLOB    NOT NULL,
    -- podseal.certified-key.v1, or empty where the root certifies nothing.
    certified BLOB    NOT NULL,
    wrapped   BLOB    NOT NULL,
    created   INTEGER NOT NULL,
    PRIMARY KEY (purpose, epoch)
) STRICT, WITHOUT ROWID;
