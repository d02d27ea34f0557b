-- Databases that were imported, how far, and which row became which.

-- mark: of the rows that the database had first; tells that a database has come under another name.
CREATE TABLE import_source (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    mark TEXT NOT NULL,
    first_at INTEGER NOT NULL
);

-- last_id: rows of the source's table up to this id are here. Ids above floor_id were free when the import
-- began, and are kept. tally, audited_tally: JSON; what became of the rows, and what of that was audited.
CREATE TABLE import_table (
    source_id INTEGER NOT NULL REFERENCES import_source (id) ON DELETE CASCADE,
    table_name TEXT NOT NULL,
    last_id INTEGER NOT NULL,
    floor_id INTEGER NOT NULL,
    tally TEXT NOT NULL,
    audited_tally TEXT NOT NULL,
    PRIMARY KEY (source_id, table_name)
) WITHOUT ROWID;

-- kind: table of the source.
CREATE TABLE import_map (
    source_id INTEGER NOT NULL REFERENCES import_source (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    old_id INTEGER NOT NULL,
    new_id INTEGER NOT NULL,
    PRIMARY KEY (source_id, kind, old_id)
) WITHOUT ROWID;
CREATE INDEX import_map_by_new ON import_map (kind, new_id);
