-- API keys. `hash` is the SHA-256 of the key in hex; the key itself is never stored. Times are nanoseconds since 1970.
CREATE TABLE api_key (
  id TEXT NOT NULL PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  hint TEXT NOT NULL,
  label TEXT NOT NULL,
  user_id TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT
);

-- One row; goes up with every change of api_key, so that other processes see in one cheap read that they must read anew.
CREATE TABLE api_key_generation (generation BIGINT NOT NULL);
INSERT INTO api_key_generation (generation) VALUES (1);
