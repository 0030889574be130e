-- Ids that part the customers known at $as_of, in order, into parts of $customers: the last id of every part but the last.
SELECT customer_id
FROM (
    SELECT customer_id, row_number() OVER (ORDER BY customer_id) AS place, count(*) OVER () AS everyone
    FROM customer_days
    WHERE is_purchase AND day <= CAST($as_of AS DATE)
    GROUP BY customer_id
)
WHERE place % $customers = 0 AND place < everyone
ORDER BY customer_id
