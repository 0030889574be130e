-- One row per customer and day: refunds of the day netted; sorted, so that no order of the log's rows shows.
-- The amount says whether a day is a purchase; what the day is worth is its margin where the log has one. Beside every
-- day stands the customer's first purchase day, NULL where there is none, and beside every purchase day the days since the
-- one before: what was known at a cutoff takes one pass.
CREATE OR REPLACE TABLE customer_days AS
WITH days AS (
    SELECT
        customer_id,
        day,
        sum(CAST(amount AS DECIMAL(18, 6))) AS net,
        sum(CAST(margin AS DECIMAL(18, 6))) AS margin,
        coalesce(max(amount) >= 0, TRUE) AS has_purchase_line,
        CAST(count(*) AS INTEGER) AS lines
    FROM staged
    WHERE fate IS NULL
    GROUP BY customer_id, day
),

valued AS (
    SELECT
        customer_id,
        day,
        coalesce(
            CAST(CASE WHEN $has_margin THEN margin
                      WHEN $margin_rate = 1 THEN net
                      ELSE CAST(net * CAST($margin_rate AS DECIMAL(7, 6)) AS DECIMAL(38, 6)) END AS DOUBLE),
            1.0
        ) AS amount,
        CASE WHEN $positive_net THEN coalesce(net > 0, TRUE) ELSE has_purchase_line END AS is_purchase,
        lines
    FROM days
),

acquired AS (
    SELECT customer_id, min(CASE WHEN is_purchase THEN day END) AS first_day
    FROM valued
    GROUP BY customer_id
)

SELECT v.customer_id, v.day, v.amount, v.is_purchase, v.lines, a.first_day,
       CASE WHEN v.is_purchase
            THEN CAST(v.day - lag(v.day) OVER (PARTITION BY v.customer_id, v.is_purchase ORDER BY v.day) AS INTEGER) END AS gap
FROM valued AS v
JOIN acquired AS a ON a.customer_id = v.customer_id
ORDER BY v.customer_id, v.day
