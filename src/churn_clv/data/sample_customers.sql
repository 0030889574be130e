-- Lines of customers outside the sample get the fate 'outside_sample'. A digest of the id decides who is in it: the same
-- customers on every machine, and those of a smaller sample are part of a larger one.
CREATE OR REPLACE TABLE staged AS
WITH sampled AS (
    SELECT DISTINCT customer_id, md5(customer_id) AS digest
    FROM staged
    WHERE fate IS NULL
    ORDER BY digest, customer_id
    LIMIT CAST($customers AS BIGINT)
)
SELECT
    staged.* EXCLUDE (fate),
    CASE WHEN fate IS NULL AND sampled.customer_id IS NULL THEN 'outside_sample' ELSE fate END AS fate
FROM staged
LEFT JOIN sampled ON sampled.customer_id = staged.customer_id
