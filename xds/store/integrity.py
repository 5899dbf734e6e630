"""Looks for rows that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from xds.store import rows

_STATEMENTS = {
    "association without its source": """
        SELECT a.id FROM association a
        WHERE NOT EXISTS (SELECT FROM submission_set o WHERE o.id = a.source)
          AND NOT EXISTS (SELECT FROM document_entry o WHERE o.id = a.source)
          AND NOT EXISTS (SELECT FROM folder o WHERE o.id = a.source)""",
    "association without its target": """
        SELECT a.id FROM association a
        WHERE NOT EXISTS (SELECT FROM document_entry o WHERE o.id = a.target)
          AND NOT EXISTS (SELECT FROM folder o WHERE o.id = a.target)
          AND NOT EXISTS (SELECT FROM association o WHERE o.id = a.target)
          AND NOT EXISTS (SELECT FROM submission_set o WHERE o.id = a.target)""",
    "entry without submission set": """
        SELECT e.id FROM document_entry e
        WHERE NOT EXISTS (
            SELECT FROM association a JOIN submission_set s ON s.id = a.source WHERE a.target = e.id)""",
    "submission set without content": """
        SELECT s.id FROM submission_set s WHERE NOT EXISTS (SELECT FROM association a WHERE a.source = s.id)""",
    "two approved versions of one entry": """
        SELECT max(logical_id::text)::uuid FROM document_entry WHERE status = 'Approved'
        GROUP BY logical_id HAVING count(*) > 1""",
    "two approved versions of one folder": """
        SELECT max(logical_id::text)::uuid FROM folder WHERE status = 'Approved'
        GROUP BY logical_id HAVING count(*) > 1""",
    "one uniqueId with different content": """
        SELECT max(id::text)::uuid FROM document_entry WHERE NOT on_demand AND version = 1
        GROUP BY unique_id HAVING count(DISTINCT (hash, size)) > 1""",
    "replaced entry still approved": """
        SELECT e.id FROM association a JOIN document_entry e ON e.id = a.target
        WHERE a.status = 'Approved' AND e.status = 'Approved'
          AND a.type IN ('urn:ihe:iti:2007:AssociationType:RPLC', 'urn:ihe:iti:2007:AssociationType:XFRM_RPLC')
          AND NOT EXISTS (SELECT FROM status_change c WHERE c.object_id = e.id AND c.status = 'Approved')""",
}

KINDS = tuple(_STATEMENTS)
"""What can be wrong."""


def flaws(connection: Connection, kind: str) -> Iterator[str]:
    """Ids of the objects of which ``kind`` is true."""
    for (object_id,) in connection.execute(text(_STATEMENTS[kind])):
        yield rows.to_urn(object_id)
