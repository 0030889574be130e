-- One row a customer at $cutoff. A purchase day is a customer-day with a purchase; a day of refunds alone
-- lowers the value of the purchases before it but is no purchase. Money is summed as decimals: exact in any order; wide
-- ones, as the net amount of a day may exceed what one line may hold.
WITH known AS (
    SELECT customer_id,
           first_day,
           max(CASE WHEN is_purchase THEN day END) AS last_day,
           sum(CASE WHEN is_purchase THEN 1 ELSE 0 END) - 1 AS frequency,
           sum(CAST(amount AS DECIMAL(38, 6))) AS all_days,
           sum(CASE WHEN day > first_day THEN CAST(amount AS DECIMAL(38, 6)) END) AS repeat_days
    FROM customer_days
    WHERE first_day <= CAST($cutoff AS DATE) AND day >= first_day AND day <= CAST($cutoff AS DATE)
    GROUP BY customer_id, first_day
)

SELECT customer_id,
       CAST(frequency AS DOUBLE) AS frequency,
       CAST(last_day - first_day AS DOUBLE) AS recency,
       CAST(CAST($cutoff AS DATE) - first_day AS DOUBLE) AS "T",
       CASE WHEN $spend = 'all' THEN CAST(all_days AS DOUBLE) / (frequency + 1)
            WHEN frequency > 0 THEN CAST(repeat_days AS DOUBLE) / frequency
            ELSE 0.0 END AS monetary_value,
       CAST(CASE WHEN $spend = 'all' THEN frequency + 1 ELSE frequency END AS DOUBLE) AS monetary_days,
       CAST(all_days AS DOUBLE) AS value_to_date
FROM known
