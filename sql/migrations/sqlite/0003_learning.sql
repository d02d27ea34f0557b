-- What the node learns of each metric: profiles, layers, and what they explained.
--
-- `_s`: seconds. Learning settings of a metric: days of data, seconds to wait after an anomaly, bound on
-- generations, bound on the distance of a learnt profile from its origin (percent).

ALTER TABLE metric ADD COLUMN inactive_at INTEGER;
ALTER TABLE metric ADD COLUMN learn_days INTEGER NOT NULL DEFAULT 30;
ALTER TABLE metric ADD COLUMN learn_after_s INTEGER NOT NULL DEFAULT 3661;
ALTER TABLE metric ADD COLUMN learn_max_generation INTEGER NOT NULL DEFAULT 16;
ALTER TABLE metric ADD COLUMN learn_max_percent REAL NOT NULL DEFAULT 100;
ALTER TABLE metric ADD COLUMN settings_from TEXT NOT NULL DEFAULT 'default' CHECK (settings_from IN ('default', 'rule', 'operator'));

CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

-- A shape that was seen and is known to be harmless.
-- root_id: the first of its family, its own id if that is itself (empty only within the transaction that
-- makes it). generation: steps from there. feature_set: version of the code that computed its features.
CREATE TABLE profile (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    metric_id INTEGER NOT NULL REFERENCES metric (id) ON DELETE CASCADE,
    resolution_s INTEGER NOT NULL,
    full_duration_s INTEGER NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('person', 'learnt', 'echo', 'import')),
    parent_id INTEGER REFERENCES profile (id) ON DELETE SET NULL,
    root_id INTEGER REFERENCES profile (id) ON DELETE SET NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    anomaly_ts REAL,
    anomaly_id INTEGER REFERENCES anomaly (id) ON DELETE SET NULL,
    feature_set INTEGER NOT NULL,
    feature_count INTEGER NOT NULL,
    features_sum REAL,
    calc_ms REAL,
    state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled', 'retired')),
    state_at INTEGER,
    state_by INTEGER REFERENCES account (id),
    state_reason TEXT,
    created_by INTEGER NOT NULL REFERENCES account (id),
    created_at INTEGER NOT NULL,
    validated_at INTEGER,
    validated_by INTEGER REFERENCES account (id),
    label TEXT,
    check_count INTEGER NOT NULL DEFAULT 0,
    match_count INTEGER NOT NULL DEFAULT 0,
    last_checked_at INTEGER,
    last_matched_at INTEGER
);
CREATE INDEX profile_by_metric ON profile (metric_id, state, full_duration_s);
CREATE INDEX profile_by_parent ON profile (parent_id);
CREATE INDEX profile_by_root ON profile (root_id);
CREATE INDEX profile_by_anomaly ON profile (anomaly_id);

-- Features that are a number; others have no row.
CREATE TABLE profile_feature (
    profile_id INTEGER NOT NULL REFERENCES profile (id) ON DELETE CASCADE,
    feature_id INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (profile_id, feature_id)
) WITHOUT ROWID;

-- The points that the profile was made from.
CREATE TABLE profile_series (
    profile_id INTEGER PRIMARY KEY REFERENCES profile (id) ON DELETE CASCADE,
    point_count INTEGER NOT NULL,
    first_ts REAL NOT NULL,
    last_ts REAL NOT NULL,
    min_value REAL,
    max_value REAL,
    encoding INTEGER NOT NULL,
    data BLOB NOT NULL
);

-- Up to 1000: those of the reference; from 1001 on our own.
CREATE TABLE feature_name (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE layer_set (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    profile_id INTEGER NOT NULL UNIQUE REFERENCES profile (id) ON DELETE CASCADE,
    metric_id INTEGER NOT NULL REFERENCES metric (id) ON DELETE CASCADE,
    state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled', 'retired')),
    label TEXT,
    created_by INTEGER NOT NULL REFERENCES account (id),
    created_at INTEGER NOT NULL,
    validated_at INTEGER,
    validated_by INTEGER REFERENCES account (id),
    check_count INTEGER NOT NULL DEFAULT 0,
    match_count INTEGER NOT NULL DEFAULT 0,
    last_checked_at INTEGER,
    last_matched_at INTEGER
);
CREATE INDEX layer_set_by_metric ON layer_set (metric_id, state);

CREATE TABLE layer_rule (
    id INTEGER PRIMARY KEY,
    layer_set_id INTEGER NOT NULL REFERENCES layer_set (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('D', 'D1', 'E', 'Es', 'F1', 'F2')),
    op TEXT NOT NULL CHECK (op IN ('lt', 'le', 'gt', 'ge', 'eq', 'ne', 'in')),
    bound_number REAL,
    bound_text TEXT,
    times INTEGER,
    state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    UNIQUE (layer_set_id, kind)
);

-- An anomaly that a profile or a layer explained. detail: JSON.
CREATE TABLE match_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    metric_id INTEGER NOT NULL REFERENCES metric (id) ON DELETE CASCADE,
    anomaly_ts REAL NOT NULL,
    matched_at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('sum', 'minmax', 'echo_sum', 'echo_minmax', 'layer', 'motif')),
    profile_id INTEGER REFERENCES profile (id) ON DELETE SET NULL,
    layer_set_id INTEGER REFERENCES layer_set (id) ON DELETE SET NULL,
    distance REAL,
    bound REAL,
    detail TEXT,
    verdict TEXT NOT NULL DEFAULT 'open' CHECK (verdict IN ('open', 'valid', 'invalid')),
    verdict_by INTEGER REFERENCES account (id),
    verdict_at INTEGER
);
CREATE INDEX match_event_by_metric ON match_event (metric_id, anomaly_ts);
CREATE INDEX match_event_by_profile ON match_event (profile_id, matched_at);
CREATE INDEX match_event_by_layer_set ON match_event (layer_set_id, matched_at);
CREATE INDEX match_event_by_verdict ON match_event (verdict);

-- profile_id: 0 for none, so that a job is there once.
CREATE TABLE learn_job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    metric_id INTEGER NOT NULL REFERENCES metric (id) ON DELETE CASCADE,
    anomaly_ts REAL NOT NULL,
    profile_id INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'refused', 'failed')),
    reason TEXT,
    created_at INTEGER NOT NULL,
    done_at INTEGER,
    UNIQUE (metric_id, kind, anomaly_ts, profile_id)
);
CREATE INDEX learn_job_by_state ON learn_job (state, not_before);

CREATE TABLE training_set (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    metric_id INTEGER NOT NULL REFERENCES metric (id) ON DELETE CASCADE,
    anomaly_ts REAL NOT NULL,
    app_id INTEGER NOT NULL REFERENCES app (id),
    full_duration_s INTEGER NOT NULL,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    keep_until INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'trained', 'matched', 'saved', 'expired')),
    label TEXT,
    UNIQUE (metric_id, anomaly_ts, full_duration_s)
);
CREATE INDEX training_set_by_keep_until ON training_set (keep_until);
