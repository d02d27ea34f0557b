-- What alerting keeps of incidents: a key that nodes make, their metrics, and who was told of them.

-- incident_key: made by the node that opened it; the same in messages. since_ts: its first anomalous point.
-- changed_ts: when the node changed it last. detail: JSON, as the node reads it back.
ALTER TABLE incident ADD COLUMN incident_key TEXT;
ALTER TABLE incident ADD COLUMN node TEXT;
ALTER TABLE incident ADD COLUMN first_metric TEXT;
ALTER TABLE incident ADD COLUMN since_ts REAL;
ALTER TABLE incident ADD COLUMN changed_ts REAL;
ALTER TABLE incident ADD COLUMN detail TEXT;
CREATE UNIQUE INDEX incident_by_key ON incident (incident_key);

-- place: number of the metric within its incident, from 0.
CREATE TABLE incident_member (
    incident_id INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    name_hash BLOB NOT NULL,
    since_ts REAL NOT NULL,
    last_ts REAL NOT NULL,
    ended_ts REAL,
    points INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (incident_id, place)
) WITHOUT ROWID;
CREATE INDEX incident_member_by_name ON incident_member (name_hash);

-- Who was told: messages made, and when the last one was. detail: JSON, as the node reads it back.
CREATE TABLE incident_told (
    incident_id INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    recipient TEXT NOT NULL,
    messages INTEGER NOT NULL,
    last_ts REAL NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (incident_id, channel, recipient)
) WITHOUT ROWID;

-- node: the node that sends it. answer: what the channel said when it took it. is_dry: it was not sent, only shown.
ALTER TABLE outbox ADD COLUMN node TEXT;
ALTER TABLE outbox ADD COLUMN answer TEXT;
ALTER TABLE outbox ADD COLUMN is_dry INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_by_created ON outbox (created_at);
