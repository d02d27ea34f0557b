-- Dictionaries, anomalies with their votes.
--
-- Our own times are whole Unix seconds (`_at`). Times of datapoints (`_ts`, `received_ts`) are
-- floats: senders may use fractions, and two points of one second are two points. Floats that are
-- not a number are stored as NULL.

CREATE TABLE host (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

CREATE TABLE app (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

CREATE TABLE algorithm (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

-- name_hash: MD5 of the name, for dialects whose indexes cannot hold a long name.
CREATE TABLE metric (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    name_hash BLOB NOT NULL UNIQUE CHECK (length(name_hash) = 16),
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
);
CREATE INDEX metric_name ON metric (name);
CREATE INDEX metric_last_seen ON metric (last_seen_at);

-- value: as received. judged_value: what the algorithms saw (of a counter, its increase).
-- recurrences: later anomalies that were joined with this one; end_ts: the last of them.
-- AUTOINCREMENT: an id is never given twice, so readers may go on from the last id they saw.
CREATE TABLE anomaly (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    metric_id INTEGER NOT NULL REFERENCES metric (id) ON DELETE CASCADE,
    host_id INTEGER NOT NULL REFERENCES host (id),
    app_id INTEGER NOT NULL REFERENCES app (id),
    anomaly_ts REAL NOT NULL,
    end_ts REAL,
    received_ts REAL NOT NULL,
    value REAL,
    judged_value REAL,
    mean REAL,
    stddev REAL,
    window_from_ts REAL,
    window_points INTEGER NOT NULL,
    full_duration_s INTEGER NOT NULL,
    is_counter INTEGER NOT NULL CHECK (is_counter IN (0, 1)),
    journal_seq INTEGER NOT NULL,
    recurrences INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    UNIQUE (metric_id, anomaly_ts, app_id, host_id)
);
CREATE INDEX anomaly_by_ts ON anomaly (anomaly_ts);
CREATE INDEX anomaly_by_received ON anomaly (received_ts);

-- One row for each algorithm that was asked.
CREATE TABLE anomaly_algorithm (
    anomaly_id INTEGER NOT NULL REFERENCES anomaly (id) ON DELETE CASCADE,
    algorithm_id INTEGER NOT NULL REFERENCES algorithm (id),
    triggered INTEGER NOT NULL CHECK (triggered IN (0, 1)),
    PRIMARY KEY (anomaly_id, algorithm_id)
) WITHOUT ROWID;
CREATE INDEX anomaly_algorithm_by_algorithm ON anomaly_algorithm (algorithm_id, triggered, anomaly_id);
