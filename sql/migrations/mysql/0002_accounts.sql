-- Who may do what, and who did it.

CREATE TABLE account (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    login VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    role VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    password_hash VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    description VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    CONSTRAINT account_role_is CHECK (role IN ('viewer', 'responder', 'editor', 'admin'))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Without a password nobody can log in as these. `system` stands for the node itself.
INSERT IGNORE INTO account (id, login, role, description, created_at) VALUES
    (1, 'system', 'admin', 'the node itself', UNIX_TIMESTAMP()),
    (2, 'admin', 'admin', 'the first person', UNIX_TIMESTAMP());

CREATE TABLE api_token (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account_id BIGINT NOT NULL,
    name VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    token_hash VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT,
    INDEX api_token_by_account (account_id),
    CONSTRAINT api_token_account_id FOREIGN KEY (account_id) REFERENCES account (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What was changed, by whom; texts are JSON.
CREATE TABLE audit_event (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at BIGINT NOT NULL,
    account_id BIGINT NOT NULL,
    action VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    row_id BIGINT NOT NULL,
    before_text MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    after_text MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    INDEX audit_event_by_row (table_name, row_id),
    INDEX audit_event_by_time (at),
    INDEX audit_event_by_account (account_id),
    CONSTRAINT audit_event_account_id FOREIGN KEY (account_id) REFERENCES account (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
