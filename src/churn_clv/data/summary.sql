-- One row a customer at $cutoff. A purchase day is a customer-day with a purchase; a day of refunds alone
-- lowers the value of the purchases before it but is no purchase. Money is summed as decimals: exact in any order; wide
-- ones, as the net amount of a day may exceed what one line may hold.
WITH purchases AS (
    SELECT customer_id,
           min(day) AS first_day,
           max(day) AS last_day,
           count(*) - 1 AS frequency
    FROM customer_days
    WHERE is_purchase AND day <= CAST($cutoff AS DATE)
    GROUP BY customer_id
),

money AS (
    SELECT p.customer_id,
           sum(CAST(d.amount AS DECIMAL(38, 6))) AS all_days,
           sum(CASE WHEN d.day > p.first_day THEN CAST(d.amount AS DECIMAL(38, 6)) END) AS repeat_days
    FROM purchases AS p
    JOIN customer_days AS d ON d.customer_id = p.customer_id
    WHERE d.day >= p.first_day AND d.day <= CAST($cutoff AS DATE)
    GROUP BY p.customer_id
)

SELECT p.customer_id,
       CAST(p.frequency AS DOUBLE) AS frequency,
       CAST(p.last_day - p.first_day AS DOUBLE) AS recency,
       CAST(CAST($cutoff AS DATE) - p.first_day AS DOUBLE) AS "T",
       CASE WHEN $spend = 'all' THEN CAST(m.all_days AS DOUBLE) / (p.frequency + 1)
            WHEN p.frequency > 0 THEN CAST(m.repeat_days AS DOUBLE) / p.frequency
            ELSE 0.0 END AS monetary_value,
       CAST(CASE WHEN $spend = 'all' THEN p.frequency + 1 ELSE p.frequency END AS DOUBLE) AS monetary_days,
       CAST(m.all_days AS DOUBLE) AS value_to_date
FROM purchases AS p
JOIN money AS m ON m.customer_id = p.customer_id
ORDER BY p.customer_id
