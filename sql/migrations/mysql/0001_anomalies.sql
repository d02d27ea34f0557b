-- Dictionaries, anomalies with their votes.
--
-- Our own times are whole Unix seconds (`_at`). Times of datapoints (`_ts`, `received_ts`) are
-- floats: senders may use fractions, and two points of one second are two points. Floats that are
-- not a finite number are stored as NULL.

CREATE TABLE host (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE app (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE algorithm (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- name_hash: MD5 of the name; an index cannot hold a long name.
CREATE TABLE metric (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(4096) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    name_hash BINARY(16) NOT NULL UNIQUE,
    first_seen_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    INDEX metric_name (name(255)),
    INDEX metric_last_seen (last_seen_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- value: as received. judged_value: what the algorithms saw (of a counter, its increase).
-- recurrences: later anomalies that were joined with this one; end_ts: the last of them.
CREATE TABLE anomaly (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    metric_id BIGINT NOT NULL,
    host_id BIGINT NOT NULL,
    app_id BIGINT NOT NULL,
    anomaly_ts DOUBLE NOT NULL,
    end_ts DOUBLE,
    received_ts DOUBLE NOT NULL,
    value DOUBLE,
    judged_value DOUBLE,
    mean DOUBLE,
    stddev DOUBLE,
    window_from_ts DOUBLE,
    window_points BIGINT NOT NULL,
    full_duration_s BIGINT NOT NULL,
    is_counter SMALLINT NOT NULL,
    journal_seq BIGINT NOT NULL,
    recurrences BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    CONSTRAINT anomaly_once UNIQUE (metric_id, anomaly_ts, app_id, host_id),
    INDEX anomaly_by_ts (anomaly_ts),
    INDEX anomaly_by_received (received_ts),
    CONSTRAINT anomaly_metric_id FOREIGN KEY (metric_id) REFERENCES metric (id) ON DELETE CASCADE,
    CONSTRAINT anomaly_host_id FOREIGN KEY (host_id) REFERENCES host (id),
    CONSTRAINT anomaly_app_id FOREIGN KEY (app_id) REFERENCES app (id),
    CONSTRAINT anomaly_is_counter_is CHECK (is_counter IN (0, 1))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row for each algorithm that was asked.
CREATE TABLE anomaly_algorithm (
    anomaly_id BIGINT NOT NULL,
    algorithm_id BIGINT NOT NULL,
    triggered SMALLINT NOT NULL,
    PRIMARY KEY (anomaly_id, algorithm_id),
    INDEX anomaly_algorithm_by_algorithm (algorithm_id, triggered, anomaly_id),
    CONSTRAINT anomaly_algorithm_anomaly_id FOREIGN KEY (anomaly_id) REFERENCES anomaly (id) ON DELETE CASCADE,
    CONSTRAINT anomaly_algorithm_algorithm_id FOREIGN KEY (algorithm_id) REFERENCES algorithm (id),
    CONSTRAINT anomaly_algorithm_triggered_is CHECK (triggered IN (0, 1))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
