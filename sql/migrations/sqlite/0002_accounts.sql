-- Who may do what, and who did it.

CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    login TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'responder', 'editor', 'admin')),
    password_hash TEXT,
    description TEXT,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
);

-- Without a password nobody can log in as these. `system` stands for the node itself.
INSERT INTO account (id, login, role, description, created_at) VALUES
    (1, 'system', 'admin', 'the node itself', CAST(strftime('%s', 'now') AS INTEGER)),
    (2, 'admin', 'admin', 'the first person', CAST(strftime('%s', 'now') AS INTEGER));

CREATE TABLE api_token (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES account (id),
    name TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER
);
CREATE INDEX api_token_by_account ON api_token (account_id);

-- What was changed, by whom; texts are JSON.
CREATE TABLE audit_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    account_id INTEGER NOT NULL REFERENCES account (id),
    action TEXT NOT NULL,
    table_name TEXT NOT NULL,
    row_id INTEGER NOT NULL,
    before_text TEXT,
    after_text TEXT
);
CREATE INDEX audit_event_by_row ON audit_event (table_name, row_id);
CREATE INDEX audit_event_by_time ON audit_event (at);
CREATE INDEX audit_event_by_account ON audit_event (account_id);
