-- Where a node's TPM stood when its evidence was appraised last (podseal.node-state.v1); null before the first.
ALTER TABLE nodes ADD COLUMN state BLOB;
-- Why nothing is released to it for now; empty where it is not in quarantine.
ALTER TABLE nodes ADD COLUMN quarantined TEXT NOT NULL DEFAULT '';

-- What was released to a node since it was reset last: what it may hold in memory.
CREATE TABLE holdings (
    audit_id TEXT    NOT NULL,
    secret   TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    node     TEXT    NOT NULL,
    workload TEXT    NOT NULL,
    released INTEGER NOT NULL,
    PRIMARY KEY (audit_id, secret)
) STRICT, WITHOUT ROWID;
CREATE INDEX holdings_of_node ON holdings (node);
