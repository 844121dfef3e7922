-- Where several instances share the tables: artefacts, in parts of at most a MiB, and operations.
CREATE TABLE artifacts (
  model TEXT NOT NULL,
  version INTEGER NOT NULL,
  part INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (model, version, part)
) WITHOUT ROWID;

-- As serialised starling.training.v1.Operation; seen_at in nanoseconds since 1970.
CREATE TABLE operations (
  operation_id TEXT PRIMARY KEY NOT NULL,
  done INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  data BLOB NOT NULL
) WITHOUT ROWID;
