-- Where to part customer_days, which is in order of the customers, so that $customers of those known at $as_of stand in
-- each part: the last row of every part but the last.
SELECT last_row
FROM (
    SELECT max(rowid) AS last_row, row_number() OVER (ORDER BY customer_id) AS place, count(*) OVER () AS everyone
    FROM customer_days
    WHERE first_day <= CAST($as_of AS DATE)
    GROUP BY customer_id
)
WHERE place % $customers = 0 AND place < everyone
ORDER BY last_row
