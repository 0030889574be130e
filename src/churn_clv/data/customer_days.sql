-- One row per customer and day: refunds of the day netted; sorted, so that no order of the log's rows shows.
CREATE OR REPLACE TABLE customer_days AS
WITH days AS (
    SELECT
        customer_id,
        day,
        CAST(sum(CAST(amount AS DECIMAL(18, 6))) AS DOUBLE) AS net,
        coalesce(max(amount) >= 0, TRUE) AS has_purchase_line,
        CAST(count(*) AS INTEGER) AS lines
    FROM transactions
    GROUP BY customer_id, day
)

SELECT
    customer_id,
    day,
    coalesce(net, 1.0) AS amount,
    CASE WHEN $positive_net THEN coalesce(net, 1.0) > 0 ELSE has_purchase_line END AS is_purchase,
    lines
FROM days
ORDER BY customer_id, day
