-- What the report counts in lines that stay: one row per name.
WITH lines AS (
    SELECT
        count(*) FILTER (WHERE amount < 0) AS refund_lines,
        count(*) FILTER (WHERE amount = 0) AS zero_amounts,
        count(*) FILTER (WHERE amount >= 0 AND margin < 0) AS losses,
        count(*) FILTER (WHERE was_rounded) AS rounded_amounts
    FROM staged
    WHERE fate IS NULL
),

twins AS (
    SELECT coalesce(sum(n - 1), 0)::BIGINT AS duplicates
    FROM (
        SELECT count(*) AS n
        FROM staged
        SEMI JOIN (FROM customer_days WHERE lines > 1) USING (customer_id, day)  -- a line alone on its day has no twin
        WHERE fate IS NULL
        GROUP BY row_hash, customer_id, day, amount
    )
),

customers AS (
    SELECT sum(lines) FILTER (WHERE NOT is_purchase) AS lines, count(*) FILTER (WHERE NOT is_purchase) AS days,
           NOT bool_or(is_purchase) AS never
    FROM customer_days
    GROUP BY customer_id
)

SELECT 'refund_lines', refund_lines FROM lines
UNION ALL SELECT 'zero_amounts', zero_amounts FROM lines
UNION ALL SELECT 'losses', losses FROM lines
UNION ALL SELECT 'rounded_amounts', rounded_amounts FROM lines
UNION ALL SELECT 'duplicates', duplicates FROM twins
UNION ALL SELECT 'lines_on_days_without_purchase', coalesce(sum(lines), 0)::BIGINT FROM customers
UNION ALL SELECT 'days_without_purchase', coalesce(sum(days), 0)::BIGINT FROM customers
UNION ALL SELECT 'customers_without_purchase', count(*) FILTER (WHERE never) FROM customers
