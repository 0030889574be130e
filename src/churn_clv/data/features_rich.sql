-- More behaviour of every customer at every cutoff, in one pass over the purchase days. As in features.sql a row sees
-- nothing after its cutoff: what is worked out beside a purchase looks back only. Sums are of integers or decimals;
-- medians and extremes do not depend on an order. Medians are worked out once a purchase, not once a purchase and
-- cutoff, which would hold all of them in memory.
WITH cutoffs AS (
    SELECT unnest(CAST($cutoffs AS DATE[])) AS cutoff
),

purchases AS (
    SELECT customer_id,
           day,
           amount,
           CAST(amount AS DECIMAL(38, 6)) AS money,
           CAST(least(amount * amount, 1e28) AS DECIMAL(38, 6)) AS square,  -- the bound keeps the sum within 38 digits
           gap,
           quantile_cont(amount, 0.5) OVER so_far AS median_amount,
           row_number() OVER (PARTITION BY customer_id, month(day) ORDER BY day) AS so_far_in_its_month
    FROM customer_days
    WHERE is_purchase
    WINDOW so_far AS (PARTITION BY customer_id ORDER BY day)
),

with_medians AS (
    SELECT *, quantile_cont(gap, 0.5) OVER (PARTITION BY customer_id ORDER BY day) AS median_gap
    FROM purchases
),

counted AS (
    SELECT c.cutoff,
           p.customer_id,
           CAST(count(*) AS DOUBLE) AS n,
           CAST(c.cutoff - min(p.day) AS DOUBLE) AS tenure,
           CAST(c.cutoff - max(p.day) AS DOUBLE) AS silence,
           arg_max(p.median_gap, p.day) AS median_gap,
           CAST(max(p.gap) AS DOUBLE) AS longest_gap,
           CAST(sum(p.money) AS DOUBLE) AS total,
           CAST(sum(p.square) AS DOUBLE) AS total_square,
           arg_max(p.median_amount, p.day) AS median_amount,
           min(p.amount) AS smallest,
           max(p.amount) AS largest,
           count(*) FILTER (WHERE p.amount = 0) AS zeros,
           CAST(count(*) FILTER (WHERE p.day > c.cutoff - 91) AS DOUBLE) AS last_91,
           CAST(count(*) FILTER (WHERE p.day > c.cutoff - 182) AS DOUBLE) AS last_182,
           CAST(count(*) FILTER (WHERE p.day > c.cutoff - 364) AS DOUBLE) AS last_364,
           CAST(coalesce(sum(p.money) FILTER (WHERE p.day > c.cutoff - 28), 0) AS DOUBLE) AS total_last_28,
           CAST(coalesce(sum(p.money) FILTER (WHERE p.day > c.cutoff - 91), 0) AS DOUBLE) AS total_last_91,
           CAST(coalesce(sum(p.money) FILTER (WHERE p.day <= c.cutoff - 91), 0) AS DOUBLE) AS total_before_91,
           CAST(coalesce(sum(p.money) FILTER (WHERE p.day > c.cutoff - 182), 0) AS DOUBLE) AS total_last_182,
           CAST(coalesce(sum(p.money) FILTER (WHERE p.day > c.cutoff - 364), 0) AS DOUBLE) AS total_last_364,
           count(*) FILTER (WHERE p.day > c.cutoff - 364 AND p.day <= c.cutoff - 364 + 91) AS a_year_before,
           count(*) FILTER (WHERE isodow(p.day) >= 6) AS at_weekends,
           max(p.so_far_in_its_month) AS in_busiest_month
    FROM cutoffs AS c
    JOIN with_medians AS p ON p.day <= c.cutoff
    GROUP BY c.cutoff, p.customer_id
)

SELECT cutoff,
       customer_id,
       tenure AS tenure_days,
       silence AS days_since_last_purchase,
       CAST(median_gap AS DOUBLE) AS median_gap_days,
       longest_gap AS longest_gap_days,
       silence / longest_gap AS silence_to_longest_gap,
       last_182 AS purchases_last_182_days,
       last_364 AS purchases_last_364_days,
       last_91 / nullif(last_182, 0) AS purchases_trend_91_days,
       CAST(a_year_before AS DOUBLE) AS purchases_season_last_year,
       at_weekends / n AS weekend_share,
       in_busiest_month / n AS busiest_month_share,
       CASE WHEN n > 1 AND smallest < largest THEN sqrt(greatest(total_square / n - (total / n) ** 2, 0))
            WHEN n > 1 THEN 0 END AS sd_amount,
       CAST(median_amount AS DOUBLE) AS median_amount,
       smallest AS smallest_amount,
       zeros / n AS zero_amount_share,
       total_last_28 AS amount_last_28_days,
       total_last_182 AS amount_last_182_days,
       total_last_364 AS amount_last_364_days,
       total_last_91 / nullif(total_last_182, 0) AS amount_trend_91_days,
       (total_last_91 / nullif(last_91, 0)) / nullif(total_before_91 / nullif(n - last_91, 0), 0) AS recent_amount_ratio
FROM counted
