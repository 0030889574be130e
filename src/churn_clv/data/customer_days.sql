-- One row per customer and day: refunds of the day netted; sorted, so that no order of the log's rows shows.
-- The amount says whether a day is a purchase; what the day is worth is its margin where the log has one.
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
)

SELECT
    customer_id,
    day,
    coalesce(
        CAST(CASE WHEN $has_margin THEN margin
                  ELSE CAST(net * CAST($margin_rate AS DECIMAL(7, 6)) AS DECIMAL(38, 6)) END AS DOUBLE),
        1.0
    ) AS amount,
    CASE WHEN $positive_net THEN coalesce(net > 0, TRUE) ELSE has_purchase_line END AS is_purchase,
    lines
FROM days
ORDER BY customer_id, day
