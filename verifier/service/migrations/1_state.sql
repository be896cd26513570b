-- Facts about the store itself: one row.
CREATE TABLE state (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    -- Random; part of every AAD, so that no ciphertext moves between stores.
    store_id        BLOB    NOT NULL CHECK (length(store_id) = 16),
    -- Grows with every change of what decisions depend on.
    generation      INTEGER NOT NULL,
    -- Challenges that expired up to here were pruned, and count as spent.
    challenge_floor INTEGER NOT NULL
) STRICT;
