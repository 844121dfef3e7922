-- Answers that were served in the last days, to find what an event followed from. `segment` is a row of `segments`.
CREATE TABLE served (
  recommendation_id TEXT PRIMARY KEY NOT NULL,
  segment INTEGER NOT NULL,
  served_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX served_by_time ON served (served_at);

-- Events whose answer is not known yet: the two come by different ways.
CREATE TABLE early (
  event_id TEXT PRIMARY KEY NOT NULL,
  recommendation_id TEXT NOT NULL,
  type TEXT NOT NULL,
  occurred_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX early_by_recommendation ON early (recommendation_id);
CREATE INDEX early_by_time ON early (occurred_at);

-- Counts by day (UTC), model version and context.
CREATE TABLE segments (
  segment INTEGER PRIMARY KEY,
  day TEXT NOT NULL,
  model_version TEXT NOT NULL,
  context TEXT NOT NULL,
  served INTEGER NOT NULL DEFAULT 0,
  products INTEGER NOT NULL DEFAULT 0,
  impressions INTEGER NOT NULL DEFAULT 0,
  clicks INTEGER NOT NULL DEFAULT 0,
  purchases INTEGER NOT NULL DEFAULT 0,
  UNIQUE (day, model_version, context)
);
