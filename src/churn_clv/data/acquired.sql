-- The day on which each customer known at $as_of was acquired: the first purchase day. Refunds alone acquire nobody.
SELECT DISTINCT customer_id, first_day
FROM customer_days
WHERE first_day <= CAST($as_of AS DATE)
ORDER BY customer_id
