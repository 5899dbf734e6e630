"""What must always hold of the stored identities; each violation is a sentence with internal ids only."""

from __future__ import annotations

from sqlalchemy import Connection, text

_CHECKS = (
    (
        "record {0} belongs to person {1}, whose founder is no member",
        (
            "SELECT r.id, r.person_id FROM record r LEFT JOIN record f ON f.id = r.person_id"
            " WHERE f.id IS NULL OR f.person_id <> r.person_id"
        ),
    ),
    (
        "record {0} is subsumed into {1}, which belongs to another person",
        "SELECT r.id, s.id FROM record r JOIN record s ON s.id = r.merged_into WHERE s.person_id <> r.person_id",
    ),
    (
        "record {0} is subsumed but names no survivor, or is active and names one",
        "SELECT id FROM record WHERE (state = 'subsumed') <> (merged_into IS NOT NULL)",
    ),
    (
        "record {0}: the link in force names person {1}, the record {2}",
        (
            "SELECT r.id, l.person_id, r.person_id FROM record r JOIN link l ON l.record_id = r.id"
            " WHERE l.valid_to IS NULL AND l.person_id <> r.person_id"
        ),
    ),
    (
        "record {0} has no link in force",
        (
            "SELECT r.id FROM record r WHERE r.state = 'active'"
            " AND NOT EXISTS (SELECT 1 FROM link l WHERE l.record_id = r.id AND l.valid_to IS NULL)"
        ),
    ),
    (
        "record {0} has version {1} but its history ends at {2}",
        (
            "SELECT r.id, r.version, max(v.version) FROM record r LEFT JOIN record_version v ON v.record_id = r.id"
            " GROUP BY r.id, r.version HAVING max(v.version) IS DISTINCT FROM r.version"
        ),
    ),
    (
        "{0} names record {1}, which does not exist",
        (
            "SELECT d.told, d.record_id FROM (SELECT 'a blocking key' AS told, record_id FROM blocking_key"
            " UNION ALL SELECT 'a search name', record_id FROM record_name"
            " UNION ALL SELECT 'the sound of a name', record_id FROM record_sound"
            " UNION ALL SELECT 'a scored pair', record_a FROM scored_pair"
            " UNION ALL SELECT 'a scored pair', record_b FROM scored_pair) AS d"
            " WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.id = d.record_id)"
        ),
    ),
    (
        "record {0} has other search names in its row than in their table",
        (
            "SELECT r.id FROM record r LEFT JOIN (SELECT record_id, E'\\n' || string_agg(part || name || E'\\n', ''"
            " ORDER BY part, name) AS lines FROM record_name GROUP BY record_id) AS n ON n.record_id = r.id"
            " WHERE r.search_names <> coalesce(n.lines, E'\\n')"
        ),
    ),
    (
        "task {0} is open but one of its records is not active",
        (
            "SELECT t.id FROM task t JOIN record a ON a.id = t.record_a JOIN record b ON b.id = t.record_b"
            " WHERE t.state = 'open' AND (a.state <> 'active' OR b.state <> 'active')"
        ),
    ),
    (
        "records {0} and {1} were declared different but are one person",
        (
            "SELECT d.record_a, d.record_b FROM decision d JOIN record a ON a.id = d.record_a"
            " JOIN record b ON b.id = d.record_b WHERE d.revoked_at IS NULL AND d.verdict = 'different'"
            " AND a.person_id = b.person_id AND a.state = 'active' AND b.state = 'active'"
        ),
    ),
)


def violations(connection: Connection) -> list[str]:
    """All violations found; empty when everything holds."""
    return [sentence.format(*row) for sentence, query in _CHECKS for row in connection.execute(text(query))]
