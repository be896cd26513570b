-- Clusters, each with its issuer and its pinned keys.
CREATE TABLE clusters (
    id     TEXT PRIMARY KEY,
    -- podseal.cluster.v1
    record BLOB NOT NULL
) STRICT, WITHOUT ROWID;
