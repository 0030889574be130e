-- Quantity a purchase day of every customer by every cutoff; refund lines do not count. Decimals: exact in any order.
WITH days AS (
    SELECT customer_id, day, sum(TRY_CAST(quantity AS DECIMAL(18, 6))) AS quantity
    FROM transactions
    WHERE coalesce(amount >= 0, TRUE)
    GROUP BY customer_id, day
)

SELECT c.cutoff, d.customer_id, CAST(sum(d.quantity) AS DOUBLE) / nullif(count(d.quantity), 0) AS quantity_per_purchase
FROM (SELECT unnest(CAST($cutoffs AS DATE[])) AS cutoff) AS c
JOIN days AS d ON d.day <= c.cutoff
GROUP BY c.cutoff, d.customer_id
