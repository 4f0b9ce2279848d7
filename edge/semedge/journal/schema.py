"""The tables of the journal, and how an older journal becomes a newer one."""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x53454D45
"""Marks the file as semedge's (`SEME`), so that no other program's database is written to."""

MIGRATIONS = (
    """
    CREATE TABLE runs (
        run_id INTEGER PRIMARY KEY,
        started_at TEXT NOT NULL,
        ended_at TEXT,
        camera TEXT NOT NULL,
        detector_sha256 TEXT NOT NULL,
        threshold REAL NOT NULL,
        frames_seen INTEGER NOT NULL DEFAULT 0,
        frames_inspected INTEGER NOT NULL DEFAULT 0,
        frames_skipped INTEGER NOT NULL DEFAULT 0,
        frames_lost INTEGER NOT NULL DEFAULT 0,
        alerts INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE alerts (
        alert_id INTEGER PRIMARY KEY,
        event_id TEXT NOT NULL UNIQUE,
        run_id INTEGER REFERENCES runs,
        sequence INTEGER NOT NULL,
        source TEXT NOT NULL,
        captured_at TEXT NOT NULL,
        raised_at TEXT NOT NULL,
        frame_score REAL NOT NULL,
        threshold REAL NOT NULL,
        event TEXT NOT NULL
    );
    CREATE INDEX alerts_by_time ON alerts (captured_at);
    CREATE TABLE deliveries (
        alert_id INTEGER NOT NULL REFERENCES alerts,
        sink TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        delivered_at TEXT,
        last_error TEXT,
        PRIMARY KEY (alert_id, sink)
    );
    CREATE INDEX deliveries_pending ON deliveries (sink, attempts, alert_id)
        WHERE delivered_at IS NULL
    """,
    """
    CREATE TABLE events (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL,
        run_id INTEGER REFERENCES runs,
        kind TEXT NOT NULL,
        phase TEXT NOT NULL,
        code TEXT NOT NULL,
        level TEXT,
        camera TEXT NOT NULL,
        raised_at TEXT NOT NULL,
        document TEXT NOT NULL
    );
    INSERT INTO events
        SELECT alert_id, event_id, run_id, 'defect', 'end', 'score', 'alarm', '', raised_at,
            json_set(event, '$.schema_version', 2, '$.key', event_id || '-' || alert_id,
                '$.kind', 'defect', '$.phase', 'end', '$.code', 'score',
                '$.message', 'A frame scored above the threshold.',
                '$.station', '', '$.camera', '', '$.started_at', raised_at, '$.duration_s', 0,
                '$.number', alert_id, '$.level', 'alarm', '$.frames', 1,
                '$.regions', json('[]'), '$.calibration_sha256', NULL,
                '$.recipe_sha256', NULL, '$.details', json('{}'))
        FROM alerts ORDER BY alert_id;
    CREATE INDEX events_by_time ON events (raised_at);
    CREATE INDEX events_by_event ON events (event_id);
    CREATE TABLE outbox (
        number INTEGER NOT NULL REFERENCES events,
        sink TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        delivered_at TEXT,
        rejected_at TEXT,
        last_error TEXT,
        PRIMARY KEY (number, sink)
    );
    INSERT INTO outbox (number, sink, attempts, delivered_at, last_error)
        SELECT alert_id, sink, attempts, delivered_at, last_error FROM deliveries;
    DROP TABLE deliveries;
    DROP TABLE alerts;
    ALTER TABLE outbox RENAME TO deliveries;
    CREATE INDEX deliveries_pending ON deliveries (sink, number)
        WHERE delivered_at IS NULL AND rejected_at IS NULL;
    ALTER TABLE runs RENAME COLUMN camera TO source;
    ALTER TABLE runs ADD COLUMN camera TEXT NOT NULL DEFAULT '';
    ALTER TABLE runs ADD COLUMN calibration_sha256 TEXT;
    ALTER TABLE runs ADD COLUMN recipe_sha256 TEXT;
    ALTER TABLE runs ADD COLUMN frames_warned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN frames_alarmed INTEGER NOT NULL DEFAULT 0;
    UPDATE runs SET frames_alarmed = alerts;
    CREATE TABLE scores (
        run_id INTEGER NOT NULL REFERENCES runs,
        captured_at TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        frames INTEGER NOT NULL,
        score REAL NOT NULL,
        level TEXT
    );
    CREATE INDEX scores_by_time ON scores (captured_at);
    CREATE TABLE audit (
        audit_id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        camera TEXT NOT NULL,
        action TEXT NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL
    );
    CREATE TABLE acknowledgements (
        event_id TEXT PRIMARY KEY,
        at TEXT NOT NULL,
        who TEXT NOT NULL
    );
    CREATE TABLE settings (
        camera TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (camera, name)
    )
    """,
    """
    CREATE TABLE marks (
        mark_id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        camera TEXT NOT NULL,
        mark TEXT NOT NULL,
        event_id TEXT,
        frame TEXT,
        note TEXT NOT NULL
    );
    CREATE INDEX marks_by_event ON marks (event_id, mark_id);
    CREATE INDEX marks_by_frame ON marks (frame, mark_id)
    """,
    """
    ALTER TABLE runs ADD COLUMN score_origin REAL;
    ALTER TABLE runs ADD COLUMN score_unit REAL
    """,
)
"""Script `n` takes a journal from version `n` to `n + 1`; a script, once released, stays as is."""

READABLE_FROM = 2
"""The oldest version that is read as it is; what was added since is empty there."""

EMPTY_ADDITIONS = {
    3: """
    CREATE TEMP TABLE marks (
        mark_id INTEGER, at TEXT, who TEXT, camera TEXT, mark TEXT, event_id TEXT, frame TEXT,
        note TEXT
    )
    """,
    4: """
    CREATE TEMP VIEW runs AS SELECT *, NULL AS score_origin, NULL AS score_unit FROM main.runs
    """,
}
"""By the version that added them: stand in, for one connection, for what an older journal lacks."""


def schema_version(connection: sqlite3.Connection) -> int:
    """Number of the migrations that the journal has had."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def stand_in_for_additions(connection: sqlite3.Connection) -> None:
    """Let a journal of `READABLE_FROM` or later be read as one of the newest version."""
    version = schema_version(connection)
    for number, statement in EMPTY_ADDITIONS.items():
        if number > version:
            connection.execute(statement)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the journal to the newest version, within the current transaction."""
    version = schema_version(connection)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        for statement in script.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
