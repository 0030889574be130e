-- The summary of summary.sql straight from lines that need no cleaning: customer_id, day and amount, one or more a day. A
-- purchase day has a line of amount >= 0, refunds of the day netted; days of refunds alone count from the first purchase on.
WITH days AS (
    SELECT customer_id,
           day,
           sum(CAST(amount AS DECIMAL(18, 6))) AS net,
           max(amount) >= 0 AS is_purchase
    FROM lines
    WHERE day <= CAST($cutoff AS DATE)
    GROUP BY customer_id, day
),

known AS (
    SELECT customer_id,
           min(CASE WHEN is_purchase THEN day END) AS first_day,
           max(CASE WHEN is_purchase THEN day END) AS last_day,
           count(CASE WHEN is_purchase THEN 1 END) - 1 AS frequency,
           sum(net) AS net,
           arg_min(net, CASE WHEN is_purchase THEN day END) AS net_of_first
    FROM days
    GROUP BY customer_id
),

early AS (  -- a day before the first purchase holds refunds alone
    SELECT r.customer_id, sum(CAST(r.amount AS DECIMAL(18, 6))) AS net
    FROM lines AS r
    JOIN known AS k ON k.customer_id = r.customer_id
    WHERE r.amount < 0 AND r.day < k.first_day
    GROUP BY r.customer_id
),

money AS (
    SELECT k.customer_id, k.first_day, k.last_day, k.frequency, k.net_of_first,
           k.net - coalesce(e.net, 0) AS all_days
    FROM known AS k
    LEFT JOIN early AS e ON e.customer_id = k.customer_id
    WHERE k.first_day IS NOT NULL
)

SELECT customer_id,
       CAST(frequency AS DOUBLE) AS frequency,
       CAST(last_day - first_day AS DOUBLE) AS recency,
       CAST(CAST($cutoff AS DATE) - first_day AS DOUBLE) AS "T",
       CASE WHEN $spend = 'all' THEN CAST(all_days AS DOUBLE) / (frequency + 1)
            WHEN frequency > 0 THEN CAST(all_days - net_of_first AS DOUBLE) / frequency
            ELSE 0.0 END AS monetary_value,
       CAST(CASE WHEN $spend = 'all' THEN frequency + 1 ELSE frequency END AS DOUBLE) AS monetary_days,
       CAST(all_days AS DOUBLE) AS value_to_date
FROM money
