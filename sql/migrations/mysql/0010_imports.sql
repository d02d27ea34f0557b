-- Databases that were imported, how far, and which row became which.

-- mark: of the rows that the database had first; tells that a database has come under another name.
CREATE TABLE import_source (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    mark VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    first_at BIGINT NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- last_id: rows of the source's table up to this id are here. Ids above floor_id were free when the import
-- began, and are kept. tally, audited_tally: JSON; what became of the rows, and what of that was audited.
CREATE TABLE import_table (
    source_id BIGINT NOT NULL,
    table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    last_id BIGINT NOT NULL,
    floor_id BIGINT NOT NULL,
    tally MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    audited_tally MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (source_id, table_name),
    CONSTRAINT import_table_source_id FOREIGN KEY (source_id) REFERENCES import_source (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- kind: table of the source.
CREATE TABLE import_map (
    source_id BIGINT NOT NULL,
    kind VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    old_id BIGINT NOT NULL,
    new_id BIGINT NOT NULL,
    PRIMARY KEY (source_id, kind, old_id),
    INDEX import_map_by_new (kind, new_id),
    CONSTRAINT import_map_source_id FOREIGN KEY (source_id) REFERENCES import_source (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
