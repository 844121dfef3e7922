-- What an import had told at its position, so that one that goes on tells the rest.
ALTER TABLE imports ADD COLUMN reject_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN reject_rows INTEGER NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN reject_checksum INTEGER NOT NULL DEFAULT 0;

-- How many rows had a fault, and the first of them.
CREATE TABLE import_faults (
  key TEXT NOT NULL,
  fault TEXT NOT NULL,
  count INTEGER NOT NULL,
  source TEXT NOT NULL,
  number INTEGER NOT NULL,
  line INTEGER NOT NULL,
  column_name TEXT NOT NULL,
  byte INTEGER NOT NULL,
  value TEXT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (key, fault)
) WITHOUT ROWID;

-- What was written ("written") and found besides records ("found").
CREATE TABLE import_counts (
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  what TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (key, kind, what)
) WITHOUT ROWID;
