-- Anomalies that belong together, what is sent of them and what is not, and how far fetching has come.

CREATE TABLE incident (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    opened_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT,
    severity VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    metric_count BIGINT NOT NULL DEFAULT 0,
    anomaly_count BIGINT NOT NULL DEFAULT 0,
    verdict VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    acknowledged_at BIGINT,
    acknowledged_by BIGINT,
    INDEX incident_by_opened (opened_at),
    INDEX incident_by_ended (ended_at),
    CONSTRAINT incident_acknowledged_by FOREIGN KEY (acknowledged_by) REFERENCES account (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE incident_anomaly (
    incident_id BIGINT NOT NULL,
    anomaly_id BIGINT NOT NULL,
    PRIMARY KEY (incident_id, anomaly_id),
    INDEX incident_anomaly_by_anomaly (anomaly_id),
    CONSTRAINT incident_anomaly_incident_id FOREIGN KEY (incident_id) REFERENCES incident (id) ON DELETE CASCADE,
    CONSTRAINT incident_anomaly_anomaly_id FOREIGN KEY (anomaly_id) REFERENCES anomaly (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE incident_thread (
    incident_id BIGINT NOT NULL,
    channel VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    recipient VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    thread VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (incident_id, channel, recipient),
    CONSTRAINT incident_thread_incident_id FOREIGN KEY (incident_id) REFERENCES incident (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- message_key: incident, kind, rule, channel, recipient and number of the update.
CREATE TABLE outbox (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    message_key VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    incident_id BIGINT,
    channel VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    recipient VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    kind VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    body MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    state VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'waiting',
    attempts BIGINT NOT NULL DEFAULT 0,
    not_before BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    sent_at BIGINT,
    error VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    INDEX outbox_by_state (state, not_before),
    INDEX outbox_by_incident (incident_id),
    CONSTRAINT outbox_incident_id FOREIGN KEY (incident_id) REFERENCES incident (id) ON DELETE SET NULL,
    CONSTRAINT outbox_state_is CHECK (state IN ('waiting', 'sent', 'dead'))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE mute (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    kind VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    pattern VARCHAR(4096) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    until_at BIGINT,
    schedule VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    zone VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    reason VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    created_by BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT mute_kind_is CHECK (kind IN ('name', 'glob', 'rule')),
    CONSTRAINT mute_created_by FOREIGN KEY (created_by) REFERENCES account (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE fetch_cursor (
    job VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    last_ts DOUBLE NOT NULL,
    updated_at BIGINT NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
