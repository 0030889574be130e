-- What the report counts in lines that stay: one row per name.
WITH lines AS (
    SELECT
        count(*) FILTER (WHERE amount < 0) AS refund_lines,
        count(*) FILTER (WHERE amount = 0) AS zero_amounts,
        count(*) FILTER (WHERE amount >= 0 AND margin < 0) AS losses,
        count(*) FILTER (WHERE was_rounded) AS rounded_amounts,
        CASE WHEN count(*) FILTER (WHERE amount_marks = 'other') = 0 THEN count(*) FILTER (WHERE amount_marks = 'three') ELSE 0 END
            AS like_thousands,
        count(*) FILTER (WHERE has_offset) AS offsets,
        count(*) FILTER (WHERE was_moved) AS moved
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
),

without_purchase AS (
    SELECT coalesce(sum(lines), 0)::BIGINT AS lines, coalesce(sum(days), 0)::BIGINT AS days,
           count(*) FILTER (WHERE never) AS customers
    FROM customers
)

SELECT unnest(['refund_lines', 'zero_amounts', 'losses', 'rounded_amounts', 'like_thousands', 'offsets', 'moved', 'duplicates',
               'lines_on_days_without_purchase', 'days_without_purchase', 'customers_without_purchase']) AS name,
       unnest([l.refund_lines, l.zero_amounts, l.losses, l.rounded_amounts, l.like_thousands, l.offsets, l.moved, t.duplicates,
               w.lines, w.days, w.customers]) AS n
FROM lines AS l, twins AS t, without_purchase AS w
