-- Kinds of events that enough customers had met by a day. A customer counts once bought: who buys later only
-- is known to the log from the future alone.
SELECT e.kind
FROM events AS e
JOIN (SELECT DISTINCT customer_id FROM customer_days WHERE is_purchase AND day <= CAST($until AS DATE)) AS known
    ON known.customer_id = e.customer_id
WHERE e.day <= CAST($until AS DATE)
GROUP BY e.kind
HAVING count(DISTINCT e.customer_id) >= $fewest
ORDER BY e.kind
