-- The day on which each customer known at $as_of was acquired: the first purchase day. Refunds alone acquire nobody.
SELECT customer_id, min(day) AS first_day
FROM customer_days
WHERE is_purchase AND day <= CAST($as_of AS DATE)
GROUP BY customer_id
ORDER BY customer_id
