-- Models, the version that serves (NULL: none yet), and the last number that a version was given.
CREATE TABLE models (
  model TEXT PRIMARY KEY NOT NULL,
  serving_version INTEGER,
  last_version INTEGER NOT NULL
) WITHOUT ROWID;

-- Versions whose artefact is complete, as serialised starling.training.v1.ModelVersion without `serving`.
CREATE TABLE versions (
  model TEXT NOT NULL,
  version INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (model, version)
) WITHOUT ROWID;
