-- What became of an anomaly, and what people say of it.
--
-- last_received_ts: receipt of the last anomaly that was joined with this one, or its own.
-- chat_thread: only of imported ones. resolution_s: empty where it is not known.

ALTER TABLE anomaly
    ADD COLUMN verdict VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'undecided',
    ADD COLUMN explained_by BIGINT,
    ADD COLUMN chat_thread VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    ADD COLUMN label VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    ADD COLUMN label_by BIGINT,
    ADD COLUMN source_id BIGINT,
    ADD COLUMN resolution_s BIGINT,
    ADD COLUMN last_received_ts DOUBLE NOT NULL DEFAULT 0,
    ADD CONSTRAINT anomaly_verdict_is CHECK (verdict IN ('alerted', 'explained', 'undecided', 'muted')),
    ADD CONSTRAINT anomaly_explained_by FOREIGN KEY (explained_by) REFERENCES match_event (id) ON DELETE SET NULL,
    ADD CONSTRAINT anomaly_label_by FOREIGN KEY (label_by) REFERENCES account (id),
    ADD CONSTRAINT anomaly_source_id FOREIGN KEY (source_id) REFERENCES source (id);

UPDATE anomaly SET last_received_ts = received_ts;

ALTER TABLE anomaly
    DROP INDEX anomaly_by_received,
    ADD INDEX anomaly_by_last_received (last_received_ts),
    ADD INDEX anomaly_by_created (created_at);

-- Other metrics that moved with an anomaly. shift_s < 0: the other one moved first. points, sign: 0 where not known.
CREATE TABLE correlation (
    anomaly_id BIGINT NOT NULL,
    metric_id BIGINT NOT NULL,
    coefficient DOUBLE NOT NULL,
    shift_s BIGINT NOT NULL,
    shifted_coefficient DOUBLE,
    points BIGINT NOT NULL,
    sign SMALLINT NOT NULL,
    PRIMARY KEY (anomaly_id, metric_id),
    INDEX correlation_by_metric (metric_id),
    CONSTRAINT correlation_anomaly_id FOREIGN KEY (anomaly_id) REFERENCES anomaly (id) ON DELETE CASCADE,
    CONSTRAINT correlation_metric_id FOREIGN KEY (metric_id) REFERENCES metric (id) ON DELETE CASCADE,
    CONSTRAINT correlation_sign_is CHECK (sign IN (-1, 0, 1))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE correlation_cursor (
    consumer VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    last_anomaly_id BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
