-- Behaviour of every customer at every cutoff, in one pass over the purchase days. A row sees nothing after its
-- cutoff: the gap before a purchase looks back only; the gaps add up to the days from first to last. Sums are of whole
-- numbers or decimals, so no row order shows. The last gap stands behind its day in one number (no gap has 100,000 days):
-- an arg_max would cost a tenth of the query.
WITH cutoffs AS (
    SELECT unnest(CAST($cutoffs AS DATE[])) AS cutoff
),

purchases AS (
    SELECT customer_id,
           day,
           amount,
           CAST(amount AS DECIMAL(38, 6)) AS money,
           lines,
           first_day,
           gap
    FROM customer_days
    WHERE is_purchase
),

refunds AS (
    SELECT c.cutoff, d.customer_id, count(*) AS refund_days
    FROM cutoffs AS c
    JOIN customer_days AS d ON d.day <= c.cutoff
    WHERE NOT d.is_purchase
    GROUP BY c.cutoff, d.customer_id
),

counted AS (
    SELECT c.cutoff,
           p.customer_id,
           count(*) - 1 AS x,
           min(p.first_day) AS first_day,
           max(p.day) AS last_day,
           sum(CAST(p.gap * p.gap AS DOUBLE)) AS sum_gap_squared,
           max(CAST(p.day - p.first_day AS BIGINT) * 100000 + p.gap) % 100000 AS last_gap,
           count(CASE WHEN p.day > c.cutoff - 28 THEN 1 END) AS last_28,
           count(CASE WHEN p.day > c.cutoff - 91 THEN 1 END) AS last_91,
           CAST(sum(p.money) AS DOUBLE) AS total,
           max(p.amount) AS largest,
           arg_max(p.amount, p.day) AS latest,
           max(CASE WHEN p.gap IS NULL THEN p.amount END) AS earliest,
           CAST(coalesce(sum(CASE WHEN p.day > c.cutoff - 91 THEN p.money END), 0) AS DOUBLE) AS total_last_91,
           sum(CAST(p.lines AS DOUBLE)) AS lines
    FROM cutoffs AS c
    JOIN purchases AS p ON p.day <= c.cutoff
    GROUP BY c.cutoff, p.customer_id
),

averaged AS (
    SELECT *, (last_day - first_day) / nullif(CAST(x AS DOUBLE), 0) AS mean_gap
    FROM counted
)

SELECT n.cutoff,
       n.customer_id,
       CAST(n.x AS DOUBLE) AS frequency,
       (n.cutoff - n.last_day) / greatest(n.cutoff - n.first_day, 1.0) AS silence_share,
       n.mean_gap AS mean_gap_days,
       CASE WHEN n.x > 1 THEN
            sqrt(greatest(n.sum_gap_squared / n.x - n.mean_gap ** 2, 0))
            / nullif(n.mean_gap, 0) END AS gap_variation,
       n.last_gap / nullif(n.mean_gap, 0) AS last_gap_ratio,
       (n.cutoff - n.last_day) / nullif(n.mean_gap, 0) AS overdue_ratio,
       CAST(n.last_28 AS DOUBLE) AS purchases_last_28_days,
       CAST(n.last_91 AS DOUBLE) AS purchases_last_91_days,
       CAST(n.last_91 AS DOUBLE) / (n.x + 1) AS purchases_share_last_91_days,
       n.total / (n.x + 1) AS mean_amount,
       n.largest AS largest_amount,
       n.earliest AS first_amount,
       n.latest / nullif(n.total / (n.x + 1), 0) AS last_amount_ratio,
       n.total_last_91 AS amount_last_91_days,
       n.lines / (n.x + 1) AS lines_per_purchase,
       CAST(coalesce(r.refund_days, 0) AS DOUBLE) AS refund_days
FROM averaged AS n
LEFT JOIN refunds AS r ON r.cutoff = n.cutoff AND r.customer_id = n.customer_id
