-- What became of an anomaly, and what people say of it.
--
-- last_received_ts: receipt of the last anomaly that was joined with this one, or its own.
-- chat_thread: only of imported ones. resolution_s: empty where it is not known.

ALTER TABLE anomaly ADD COLUMN verdict TEXT NOT NULL DEFAULT 'undecided' CHECK (verdict IN ('alerted', 'explained', 'undecided', 'muted'));
ALTER TABLE anomaly ADD COLUMN explained_by INTEGER REFERENCES match_event (id) ON DELETE SET NULL;
ALTER TABLE anomaly ADD COLUMN chat_thread TEXT;
ALTER TABLE anomaly ADD COLUMN label TEXT;
ALTER TABLE anomaly ADD COLUMN label_by INTEGER REFERENCES account (id);
ALTER TABLE anomaly ADD COLUMN source_id INTEGER REFERENCES source (id);
ALTER TABLE anomaly ADD COLUMN resolution_s INTEGER;
ALTER TABLE anomaly ADD COLUMN last_received_ts REAL NOT NULL DEFAULT 0;

UPDATE anomaly SET last_received_ts = received_ts;
DROP INDEX anomaly_by_received;

CREATE INDEX anomaly_by_last_received ON anomaly (last_received_ts);
CREATE INDEX anomaly_by_explained ON anomaly (explained_by);
CREATE INDEX anomaly_by_created ON anomaly (created_at);

-- Other metrics that moved with an anomaly. shift_s < 0: the other one moved first. points, sign: 0 where not known.
CREATE TABLE correlation (
    anomaly_id INTEGER NOT NULL REFERENCES anomaly (id) ON DELETE CASCADE,
    metric_id INTEGER NOT NULL REFERENCES metric (id) ON DELETE CASCADE,
    coefficient REAL NOT NULL,
    shift_s INTEGER NOT NULL,
    shifted_coefficient REAL,
    points INTEGER NOT NULL,
    sign INTEGER NOT NULL CHECK (sign IN (-1, 0, 1)),
    PRIMARY KEY (anomaly_id, metric_id)
) WITHOUT ROWID;
CREATE INDEX correlation_by_metric ON correlation (metric_id);

CREATE TABLE correlation_cursor (
    consumer TEXT NOT NULL PRIMARY KEY,
    last_anomaly_id INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
