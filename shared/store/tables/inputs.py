"""What jobs work on beside one upload that was there before them."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Table, Text

from shared.store.tables.columns import metadata

job_inputs = Table(
    "job_inputs",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    # MAIN_INPUT, or what the operations call it by.
    Column("name", Text, primary_key=True),
    # NULL until it has been fetched.
    Column("upload_id", ForeignKey("uploads.id"), index=True),
    Column("url", Text),
    CheckConstraint("upload_id IS NOT NULL OR url IS NOT NULL", name="source"),
)
is_to_be_fetched = job_inputs.c.upload_id.is_(None)
