-- The policy and the reference sets in force; earlier ones are in the archive.
CREATE TABLE documents (
    kind    TEXT    NOT NULL CHECK (kind IN ('policy', 'reference')),
    name    TEXT    NOT NULL,
    digest  BLOB    NOT NULL,
    text    TEXT    NOT NULL,
    applied INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
