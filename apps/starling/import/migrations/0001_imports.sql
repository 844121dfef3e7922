-- Imports and how far they came.
CREATE TABLE imports (
  key TEXT PRIMARY KEY NOT NULL,
  stage TEXT NOT NULL,
  position TEXT NOT NULL,
  done INTEGER NOT NULL
) WITHOUT ROWID;
