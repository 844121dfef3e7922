-- Of what happened at one time, the order is that of the event ids: the same whenever the events came.
DROP INDEX history_by_user;
CREATE INDEX history_by_user ON history (user_id, occurred_at, event_id);
