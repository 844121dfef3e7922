-- Users as they are now, as serialised starling.profile.v1.User.
CREATE TABLE users (
  user_id TEXT PRIMARY KEY NOT NULL,
  revision INTEGER NOT NULL,
  data BLOB NOT NULL
) WITHOUT ROWID;

-- Argon2id, in its encoded form.
CREATE TABLE passwords (
  user_id TEXT PRIMARY KEY NOT NULL,
  encoded TEXT NOT NULL
) WITHOUT ROWID;

-- Sessions by the SHA-256 of their tokens; times in nanoseconds since 1970.
CREATE TABLE sessions (
  token_hash BLOB PRIMARY KEY NOT NULL,
  user_id TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Users that were forgotten, and when: what they did before that time is not taken in again.
CREATE TABLE forgotten (
  user_id TEXT PRIMARY KEY NOT NULL,
  forgotten_at INTEGER NOT NULL
) WITHOUT ROWID;

-- What users did, the newest 500 of each.
CREATE TABLE history (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id TEXT NOT NULL,
  event_id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  product_id TEXT NOT NULL,
  occurred_at INTEGER NOT NULL,
  quantity REAL NOT NULL
);
CREATE INDEX history_by_user ON history (user_id, occurred_at, sequence);
