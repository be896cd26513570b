-- A node is known by whatever its hardware is known by, not by EK and AK alone.
ALTER TABLE nodes RENAME COLUMN ek_digest TO machine;
ALTER TABLE nodes RENAME COLUMN ak_public TO node_key;
ALTER TABLE nodes RENAME COLUMN ak_name TO signer;
-- States of an earlier form: the next evidence is where a node goes on from.
UPDATE nodes SET state = NULL;

-- The policy of hardware is a document too.
CREATE TABLE documents_of_all_kinds (
    kind    TEXT    NOT NULL CHECK (kind IN ('policy', 'reference', 'hardware')),
    name    TEXT    NOT NULL,
    digest  BLOB    NOT NULL,
    text    TEXT    NOT NULL,
    applied INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO documents_of_all_kinds SELECT * FROM documents;
DROP TABLE documents;
ALTER TABLE documents_of_all_kinds RENAME TO documents;
