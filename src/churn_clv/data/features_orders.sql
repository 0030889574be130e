-- Orders a purchase day of every customer by every cutoff; refund lines do not count.
WITH days AS (
    SELECT customer_id, day, count(DISTINCT order_id) AS orders
    FROM transactions
    WHERE order_id IS NOT NULL AND coalesce(amount >= 0, TRUE)
    GROUP BY customer_id, day
)

SELECT c.cutoff, d.customer_id, CAST(sum(d.orders) AS DOUBLE) / count(*) AS orders_per_purchase
FROM (SELECT unnest(CAST($cutoffs AS DATE[])) AS cutoff) AS c
JOIN days AS d ON d.day <= c.cutoff
GROUP BY c.cutoff, d.customer_id
