-- Events of the log's customers; kinds under the names given to them, or "event" where the table has no kinds.
CREATE OR REPLACE TABLE events AS
WITH named AS (
    SELECT unnest(CAST($kinds AS VARCHAR[])) AS written, unnest(CAST($names AS VARCHAR[])) AS name
)

SELECT s.customer_id, s.day, coalesce(named.name, 'event') AS kind
FROM staged AS s
LEFT JOIN named ON named.written = s.channel
WHERE s.fate IS NULL AND s.customer_id IN (SELECT customer_id FROM customer_days)
