-- Customers who bought and who stand for all of them: those of the lowest digests of their ids, so that a panel is the same on every
-- machine and a smaller one is part of a larger one.
SELECT customer_id
FROM (SELECT customer_id FROM customer_days WHERE first_day IS NOT NULL GROUP BY customer_id)
ORDER BY md5(customer_id), customer_id
LIMIT $customers
