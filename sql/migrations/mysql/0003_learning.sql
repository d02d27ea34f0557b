-- What the node learns of each metric: profiles, layers, and what they explained.
--
-- `_s`: seconds. Learning settings of a metric: days of data, seconds to wait after an anomaly, bound on
-- generations, bound on the distance of a learnt profile from its origin (percent).

ALTER TABLE metric
    ADD COLUMN inactive_at BIGINT,
    ADD COLUMN learn_days BIGINT NOT NULL DEFAULT 30,
    ADD COLUMN learn_after_s BIGINT NOT NULL DEFAULT 3661,
    ADD COLUMN learn_max_generation BIGINT NOT NULL DEFAULT 16,
    ADD COLUMN learn_max_percent DOUBLE NOT NULL DEFAULT 100,
    ADD COLUMN settings_from VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'default',
    ADD CONSTRAINT metric_settings_from_is CHECK (settings_from IN ('default', 'rule', 'operator'));

CREATE TABLE source (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A shape that was seen and is known to be harmless.
-- root_id: the first of its family, its own id if that is itself (empty only within the transaction that
-- makes it). generation: steps from there. feature_set: version of the code that computed its features.
CREATE TABLE profile (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    metric_id BIGINT NOT NULL,
    resolution_s BIGINT NOT NULL,
    full_duration_s BIGINT NOT NULL,
    origin VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    parent_id BIGINT,
    root_id BIGINT,
    generation BIGINT NOT NULL DEFAULT 0,
    anomaly_ts DOUBLE,
    anomaly_id BIGINT,
    feature_set BIGINT NOT NULL,
    feature_count BIGINT NOT NULL,
    features_sum DOUBLE,
    calc_ms DOUBLE,
    state VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'active',
    state_at BIGINT,
    state_by BIGINT,
    state_reason VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    created_by BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    validated_at BIGINT,
    validated_by BIGINT,
    label VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    check_count BIGINT NOT NULL DEFAULT 0,
    match_count BIGINT NOT NULL DEFAULT 0,
    last_checked_at BIGINT,
    last_matched_at BIGINT,
    INDEX profile_by_metric (metric_id, state, full_duration_s),
    INDEX profile_by_parent (parent_id),
    INDEX profile_by_root (root_id),
    INDEX profile_by_anomaly (anomaly_id),
    CONSTRAINT profile_metric_id FOREIGN KEY (metric_id) REFERENCES metric (id) ON DELETE CASCADE,
    CONSTRAINT profile_origin_is CHECK (origin IN ('person', 'learnt', 'echo', 'import')),
    CONSTRAINT profile_parent_id FOREIGN KEY (parent_id) REFERENCES profile (id) ON DELETE SET NULL,
    CONSTRAINT profile_root_id FOREIGN KEY (root_id) REFERENCES profile (id) ON DELETE SET NULL,
    CONSTRAINT profile_anomaly_id FOREIGN KEY (anomaly_id) REFERENCES anomaly (id) ON DELETE SET NULL,
    CONSTRAINT profile_state_is CHECK (state IN ('active', 'disabled', 'retired')),
    CONSTRAINT profile_state_by FOREIGN KEY (state_by) REFERENCES account (id),
    CONSTRAINT profile_created_by FOREIGN KEY (created_by) REFERENCES account (id),
    CONSTRAINT profile_validated_by FOREIGN KEY (validated_by) REFERENCES account (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Features that are a number; others have no row.
CREATE TABLE profile_feature (
    profile_id BIGINT NOT NULL,
    feature_id BIGINT NOT NULL,
    value DOUBLE NOT NULL,
    PRIMARY KEY (profile_id, feature_id),
    CONSTRAINT profile_feature_profile_id FOREIGN KEY (profile_id) REFERENCES profile (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The points that the profile was made from.
CREATE TABLE profile_series (
    profile_id BIGINT PRIMARY KEY,
    point_count BIGINT NOT NULL,
    first_ts DOUBLE NOT NULL,
    last_ts DOUBLE NOT NULL,
    min_value DOUBLE,
    max_value DOUBLE,
    encoding BIGINT NOT NULL,
    data MEDIUMBLOB NOT NULL,
    CONSTRAINT profile_series_profile_id FOREIGN KEY (profile_id) REFERENCES profile (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Up to 1000: those of the reference; from 1001 on our own.
CREATE TABLE feature_name (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE layer_set (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    profile_id BIGINT NOT NULL UNIQUE,
    metric_id BIGINT NOT NULL,
    state VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'active',
    label VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    created_by BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    validated_at BIGINT,
    validated_by BIGINT,
    check_count BIGINT NOT NULL DEFAULT 0,
    match_count BIGINT NOT NULL DEFAULT 0,
    last_checked_at BIGINT,
    last_matched_at BIGINT,
    INDEX layer_set_by_metric (metric_id, state),
    CONSTRAINT layer_set_profile_id FOREIGN KEY (profile_id) REFERENCES profile (id) ON DELETE CASCADE,
    CONSTRAINT layer_set_metric_id FOREIGN KEY (metric_id) REFERENCES metric (id) ON DELETE CASCADE,
    CONSTRAINT layer_set_state_is CHECK (state IN ('active', 'disabled', 'retired')),
    CONSTRAINT layer_set_created_by FOREIGN KEY (created_by) REFERENCES account (id),
    CONSTRAINT layer_set_validated_by FOREIGN KEY (validated_by) REFERENCES account (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE layer_rule (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    layer_set_id BIGINT NOT NULL,
    kind VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    op VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    bound_number DOUBLE,
    bound_text VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    times BIGINT,
    state VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'active',
    CONSTRAINT layer_rule_once UNIQUE (layer_set_id, kind),
    CONSTRAINT layer_rule_layer_set_id FOREIGN KEY (layer_set_id) REFERENCES layer_set (id) ON DELETE CASCADE,
    CONSTRAINT layer_rule_kind_is CHECK (kind IN ('D', 'D1', 'E', 'Es', 'F1', 'F2')),
    CONSTRAINT layer_rule_op_is CHECK (op IN ('lt', 'le', 'gt', 'ge', 'eq', 'ne', 'in')),
    CONSTRAINT layer_rule_state_is CHECK (state IN ('active', 'disabled'))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- An anomaly that a profile or a layer explained. detail: JSON.
CREATE TABLE match_event (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    metric_id BIGINT NOT NULL,
    anomaly_ts DOUBLE NOT NULL,
    matched_at BIGINT NOT NULL,
    kind VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    profile_id BIGINT,
    layer_set_id BIGINT,
    distance DOUBLE,
    bound DOUBLE,
    detail MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    verdict VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'open',
    verdict_by BIGINT,
    verdict_at BIGINT,
    INDEX match_event_by_metric (metric_id, anomaly_ts),
    INDEX match_event_by_profile (profile_id, matched_at),
    INDEX match_event_by_layer_set (layer_set_id, matched_at),
    INDEX match_event_by_verdict (verdict),
    CONSTRAINT match_event_metric_id FOREIGN KEY (metric_id) REFERENCES metric (id) ON DELETE CASCADE,
    CONSTRAINT match_event_kind_is CHECK (kind IN ('sum', 'minmax', 'echo_sum', 'echo_minmax', 'layer', 'motif')),
    CONSTRAINT match_event_profile_id FOREIGN KEY (profile_id) REFERENCES profile (id) ON DELETE SET NULL,
    CONSTRAINT match_event_layer_set_id FOREIGN KEY (layer_set_id) REFERENCES layer_set (id) ON DELETE SET NULL,
    CONSTRAINT match_event_verdict_is CHECK (verdict IN ('open', 'valid', 'invalid')),
    CONSTRAINT match_event_verdict_by FOREIGN KEY (verdict_by) REFERENCES account (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- profile_id: 0 for none, so that a job is there once.
CREATE TABLE learn_job (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    kind VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    metric_id BIGINT NOT NULL,
    anomaly_ts DOUBLE NOT NULL,
    profile_id BIGINT NOT NULL DEFAULT 0,
    not_before BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    state VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'queued',
    reason VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    created_at BIGINT NOT NULL,
    done_at BIGINT,
    CONSTRAINT learn_job_once UNIQUE (metric_id, kind, anomaly_ts, profile_id),
    INDEX learn_job_by_state (state, not_before),
    CONSTRAINT learn_job_metric_id FOREIGN KEY (metric_id) REFERENCES metric (id) ON DELETE CASCADE,
    CONSTRAINT learn_job_state_is CHECK (state IN ('queued', 'running', 'done', 'refused', 'failed'))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE training_set (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    metric_id BIGINT NOT NULL,
    anomaly_ts DOUBLE NOT NULL,
    app_id BIGINT NOT NULL,
    full_duration_s BIGINT NOT NULL,
    path VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    bytes BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    state VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'waiting',
    label VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    CONSTRAINT training_set_once UNIQUE (metric_id, anomaly_ts, full_duration_s),
    INDEX training_set_by_keep_until (keep_until),
    CONSTRAINT training_set_metric_id FOREIGN KEY (metric_id) REFERENCES metric (id) ON DELETE CASCADE,
    CONSTRAINT training_set_app_id FOREIGN KEY (app_id) REFERENCES app (id),
    CONSTRAINT training_set_state_is CHECK (state IN ('waiting', 'trained', 'matched', 'saved', 'expired'))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
