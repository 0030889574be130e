-- Breadth of what every customer bought by every cutoff. A product counts once a day; refund lines do not. Beside each
-- product stands the day it was bought before, so that the new ones of any window are counted without comparing sets.
WITH bought AS (
    SELECT DISTINCT customer_id, day, product_id
    FROM transactions
    WHERE product_id IS NOT NULL AND coalesce(amount >= 0, TRUE)
),

in_order AS (
    SELECT customer_id,
           day,
           lag(day) OVER (PARTITION BY customer_id, product_id ORDER BY day) AS day_before,
           row_number() OVER (PARTITION BY customer_id, day ORDER BY product_id) = 1 AS begins_day
    FROM bought
)

SELECT c.cutoff,
       p.customer_id,
       CAST(count(*) FILTER (WHERE p.day_before IS NULL) AS DOUBLE) AS distinct_products,
       CAST(count(*) FILTER (WHERE p.day > c.cutoff - 91 AND coalesce(p.day_before <= c.cutoff - 91, TRUE)) AS DOUBLE)
           AS distinct_products_last_91_days,
       CAST(count(*) AS DOUBLE) / count(*) FILTER (WHERE p.begins_day) AS products_per_purchase,
       count(p.day_before) / CAST(count(*) AS DOUBLE) AS repeated_product_share
FROM (SELECT unnest(CAST($cutoffs AS DATE[])) AS cutoff) AS c
JOIN in_order AS p ON p.day <= c.cutoff
GROUP BY c.cutoff, p.customer_id
