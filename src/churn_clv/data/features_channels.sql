-- Through how many channels every customer had bought by every cutoff; refund lines do not count.
WITH first_use AS (
    SELECT customer_id, channel, min(day) AS day
    FROM transactions
    WHERE channel IS NOT NULL AND coalesce(amount >= 0, TRUE)
    GROUP BY customer_id, channel
)

SELECT c.cutoff, f.customer_id, CAST(count(*) AS DOUBLE) AS distinct_channels
FROM (SELECT unnest(CAST($cutoffs AS DATE[])) AS cutoff) AS c
JOIN first_use AS f ON f.day <= c.cutoff
GROUP BY c.cutoff, f.customer_id
