-- What the customers acquired in one period of the calendar did in that period and in each later one, up to $as_of.
-- A day of refunds alone lowers the value but is no purchase; refunds before the first purchase do not count. Money is
-- summed as decimals: exact in any order.
WITH acquired AS (
    SELECT customer_id, min(day) AS first_day
    FROM customer_days
    WHERE is_purchase AND day <= CAST($as_of AS DATE)
    GROUP BY customer_id
)

SELECT CAST(date_trunc($period, a.first_day) AS DATE) AS cohort,
       CAST(date_trunc($period, d.day) AS DATE) AS period,
       count(DISTINCT CASE WHEN d.is_purchase THEN d.customer_id END) AS active,
       count(CASE WHEN d.is_purchase THEN 1 END) AS purchases,
       CAST(sum(CAST(d.amount AS DECIMAL(38, 6))) AS DOUBLE) AS spend
FROM acquired AS a
JOIN customer_days AS d ON d.customer_id = a.customer_id
WHERE d.day >= a.first_day AND d.day <= CAST($as_of AS DATE)
GROUP BY CAST(date_trunc($period, a.first_day) AS DATE), CAST(date_trunc($period, d.day) AS DATE)
ORDER BY cohort, period
