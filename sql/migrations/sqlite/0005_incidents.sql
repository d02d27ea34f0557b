-- Anomalies that belong together, what is sent of them and what is not, and how far fetching has come.

CREATE TABLE incident (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    opened_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    severity TEXT NOT NULL,
    metric_count INTEGER NOT NULL DEFAULT 0,
    anomaly_count INTEGER NOT NULL DEFAULT 0,
    verdict TEXT,
    acknowledged_at INTEGER,
    acknowledged_by INTEGER REFERENCES account (id)
);
CREATE INDEX incident_by_opened ON incident (opened_at);
CREATE INDEX incident_by_ended ON incident (ended_at);

CREATE TABLE incident_anomaly (
    incident_id INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
    anomaly_id INTEGER NOT NULL REFERENCES anomaly (id) ON DELETE CASCADE,
    PRIMARY KEY (incident_id, anomaly_id)
) WITHOUT ROWID;
CREATE INDEX incident_anomaly_by_anomaly ON incident_anomaly (anomaly_id);

CREATE TABLE incident_thread (
    incident_id INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    recipient TEXT NOT NULL,
    thread TEXT NOT NULL,
    PRIMARY KEY (incident_id, channel, recipient)
) WITHOUT ROWID;

-- message_key: incident, kind, rule, channel, recipient and number of the update.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_key TEXT NOT NULL UNIQUE,
    incident_id INTEGER REFERENCES incident (id) ON DELETE SET NULL,
    channel TEXT NOT NULL,
    recipient TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    sent_at INTEGER,
    error TEXT
);
CREATE INDEX outbox_by_state ON outbox (state, not_before);
CREATE INDEX outbox_by_incident ON outbox (incident_id);

CREATE TABLE mute (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('name', 'glob', 'rule')),
    pattern TEXT NOT NULL,
    until_at INTEGER,
    schedule TEXT,
    zone TEXT,
    reason TEXT,
    created_by INTEGER NOT NULL REFERENCES account (id),
    created_at INTEGER NOT NULL
);

CREATE TABLE fetch_cursor (
    job TEXT NOT NULL PRIMARY KEY,
    last_ts REAL NOT NULL,
    updated_at INTEGER NOT NULL
);
