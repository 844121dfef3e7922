-- Times are nanoseconds since 1970. Numbers of phases: run.h.
CREATE TABLE saga_runs (
  id TEXT NOT NULL PRIMARY KEY,
  saga TEXT NOT NULL,
  version BIGINT NOT NULL,
  phase BIGINT NOT NULL,
  step BIGINT NOT NULL,
  state BLOB NOT NULL,
  trace TEXT NOT NULL,
  code BIGINT NOT NULL,
  message TEXT NOT NULL,
  cancelled BIGINT NOT NULL,
  stuck BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  ended_at BIGINT,
  due_at BIGINT,
  lease_owner TEXT NOT NULL,
  lease_until BIGINT NOT NULL
);

-- NULL once the run has ended.
CREATE INDEX saga_runs_due ON saga_runs (due_at);

-- NULL while it is open.
CREATE INDEX saga_runs_ended ON saga_runs (ended_at);

CREATE INDEX saga_runs_started ON saga_runs (started_at);

CREATE TABLE saga_steps (
  run_id TEXT NOT NULL,
  step BIGINT NOT NULL,
  compensation BIGINT NOT NULL,
  name TEXT NOT NULL,
  phase BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  refusals BIGINT NOT NULL,
  uncertain BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  code BIGINT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (run_id, step, compensation)
);
