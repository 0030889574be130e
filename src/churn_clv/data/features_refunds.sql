-- Refund lines of every customer by every cutoff: the money itself, also under a margin.
WITH days AS (
    SELECT customer_id,
           day,
           sum(CAST(amount AS DECIMAL(18, 6))) FILTER (WHERE amount > 0) AS gross,
           -sum(CAST(amount AS DECIMAL(18, 6))) FILTER (WHERE amount < 0) AS refunded
    FROM transactions
    GROUP BY customer_id, day
)

SELECT c.cutoff,
       d.customer_id,
       CAST(coalesce(sum(d.refunded), 0) AS DOUBLE) AS refunded_amount,
       CAST(coalesce(sum(d.refunded), 0) AS DOUBLE) / nullif(CAST(sum(d.gross) AS DOUBLE), 0) AS refund_share,
       CAST(c.cutoff - max(CASE WHEN d.refunded > 0 THEN d.day END) AS DOUBLE) AS days_since_last_refund
FROM (SELECT unnest(CAST($cutoffs AS DATE[])) AS cutoff) AS c
JOIN days AS d ON d.day <= c.cutoff
GROUP BY c.cutoff, d.customer_id
