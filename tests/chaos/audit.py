"""A witness inside PostgreSQL: triggers that write down each change of a job's status.

One that a later one hides is among them: the final rows cannot show that a job ended twice; this can.
"""

import asyncpg

_TERMINAL = "('succeeded', 'failed', 'canceled')"
_STATEMENTS = (
    """
    CREATE TABLE chaos_changes (
        n bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), job_id uuid NOT NULL,
        old_status text, new_status text NOT NULL, old_version int, new_version int NOT NULL,
        attempt int NOT NULL, old_lease_expires_at timestamptz
    )
    """,
    "CREATE TABLE chaos_rewritten (job_id uuid NOT NULL, number int NOT NULL, old_outcome text, new_outcome text)",
    f"""
    CREATE FUNCTION chaos_note_job() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO chaos_changes (job_id, new_status, new_version, attempt)
            VALUES (NEW.id, NEW.status, NEW.version, NEW.attempt);
        -- Any write at all to a job that has ended, and each change of another.
        ELSIF OLD.status IN {_TERMINAL}
            OR (OLD.status, OLD.version, OLD.attempt) IS DISTINCT FROM (NEW.status, NEW.version, NEW.attempt)
        THEN
            INSERT INTO chaos_changes
                (job_id, old_status, new_status, old_version, new_version, attempt, old_lease_expires_at)
            VALUES
                (NEW.id, OLD.status, NEW.status, OLD.version, NEW.version, NEW.attempt, OLD.lease_expires_at);
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER chaos_job AFTER INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION chaos_note_job()",
    """
    CREATE FUNCTION chaos_note_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO chaos_rewritten VALUES (NEW.job_id, NEW.number, OLD.outcome, NEW.outcome);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER chaos_attempt AFTER UPDATE ON attempts FOR EACH ROW
    WHEN (OLD.outcome IS NOT NULL) EXECUTE FUNCTION chaos_note_attempt()
    """,
)


async def install(database_url: str) -> None:
    """Set the witness up in a migrated database."""
    connection = await asyncpg.connect(database_url)
    try:
        for statement in _STATEMENTS:
            await connection.execute(statement)
    finally:
        await connection.close()
