-- What alerting keeps of incidents: a key that nodes make, their metrics, and who was told of them.

-- incident_key: made by the node that opened it; the same in messages. since_ts: its first anomalous point.
-- changed_ts: when the node changed it last. detail: JSON, as the node reads it back.
ALTER TABLE incident ADD COLUMN incident_key VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
ALTER TABLE incident ADD COLUMN node VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
ALTER TABLE incident ADD COLUMN first_metric VARCHAR(4096) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
ALTER TABLE incident ADD COLUMN since_ts DOUBLE;
ALTER TABLE incident ADD COLUMN changed_ts DOUBLE;
ALTER TABLE incident ADD COLUMN detail MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
ALTER TABLE incident ADD UNIQUE INDEX incident_by_key (incident_key);

-- place: number of the metric within its incident, from 0.
CREATE TABLE incident_member (
    incident_id BIGINT NOT NULL,
    place BIGINT NOT NULL,
    name VARCHAR(4096) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    name_hash BINARY(16) NOT NULL,
    since_ts DOUBLE NOT NULL,
    last_ts DOUBLE NOT NULL,
    ended_ts DOUBLE,
    points BIGINT NOT NULL,
    detail MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (incident_id, place),
    INDEX incident_member_by_name (name_hash),
    CONSTRAINT incident_member_incident_id FOREIGN KEY (incident_id) REFERENCES incident (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who was told: messages made, and when the last one was. detail: JSON, as the node reads it back.
CREATE TABLE incident_told (
    incident_id BIGINT NOT NULL,
    channel VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    recipient VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    messages BIGINT NOT NULL,
    last_ts DOUBLE NOT NULL,
    detail MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (incident_id, channel, recipient),
    CONSTRAINT incident_told_incident_id FOREIGN KEY (incident_id) REFERENCES incident (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- node: the node that sends it. answer: what the channel said when it took it. is_dry: it was not sent, only shown.
ALTER TABLE outbox ADD COLUMN node VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
ALTER TABLE outbox ADD COLUMN answer VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
ALTER TABLE outbox ADD COLUMN is_dry BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD INDEX outbox_by_created (created_at);
