-- Customers who had bought by each cutoff.
SELECT c.cutoff, d.customer_id
FROM (SELECT unnest(CAST($cutoffs AS DATE[])) AS cutoff) AS c
JOIN customer_days AS d ON d.day <= c.cutoff
WHERE d.is_purchase
GROUP BY c.cutoff, d.customer_id
ORDER BY c.cutoff, d.customer_id
