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
)

SELECT customer_id,
       day,
       amount,
       is_purchase,
       lines,
       first_value(CASE WHEN is_purchase THEN day END IGNORE NULLS) OVER ever AS first_day,
       CASE WHEN is_purchase
            THEN CAST(day - lag(CASE WHEN is_purchase THEN day END IGNORE NULLS) OVER in_order AS INTEGER) END AS gap
FROM valued
WINDOW in_order AS (PARTITION BY customer_id ORDER BY day),
       ever AS (PARTITION BY customer_id ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
ORDER BY customer_id, day
