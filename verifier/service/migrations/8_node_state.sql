-- Where a node's TPM stood when its evidence was appraised last (podseal.node-state.v1); null before the first.
ALTER TABLE nodes ADD COLUMN state BLOB;
-- Why nothing is released to it for now; empty where it is not in quarantine.
ALTER TABLE nodes ADD COLUMN quarantined TEXT NOT NULL DEFAULT '';
-- When its evidence held last, in seconds since 1970; 0 for never.
ALTER TABLE nodes ADD COLUMN attested INTEGER NOT NULL DEFAULT 0;
-- Since when it does not hold, the first check of it that did not pass, and the decision that tells of it; 0 and empty where it holds.
ALTER TABLE nodes ADD COLUMN failing_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN failing TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN failing_id TEXT NOT NULL DEFAULT '';

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
