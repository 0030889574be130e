-- What each customer known at a cutoff did in (cutoff, cutoff + horizon_days]: purchase days, and spend net of refunds.
WITH windows AS (
    SELECT unnest(CAST($cutoffs AS DATE[])) AS cutoff,
           unnest(CAST($horizons AS INTEGER[])) AS horizon_days
),

known AS (
    SELECT w.cutoff, w.horizon_days, d.customer_id
    FROM windows AS w
    JOIN customer_days AS d ON d.day <= w.cutoff
    WHERE d.is_purchase
    GROUP BY w.cutoff, w.horizon_days, d.customer_id
)

SELECT k.cutoff,
       k.customer_id,
       CAST(count(CASE WHEN d.is_purchase THEN 1 END) AS DOUBLE) AS purchases,
       CAST(coalesce(sum(CAST(d.amount AS DECIMAL(38, 6))), 0) AS DOUBLE) AS spend
FROM known AS k
LEFT JOIN customer_days AS d
    ON d.customer_id = k.customer_id AND d.day > k.cutoff AND d.day <= k.cutoff + k.horizon_days
GROUP BY k.cutoff, k.customer_id
ORDER BY k.cutoff, k.customer_id
