-- One row a customer, from her summary and the forecasts of a purchase model. A history that cannot be, which Python
-- refuses, gets NULL in every score. MATERIALIZED keeps PostgreSQL from repeating a formula wherever its column is read.
WITH given AS (
    SELECT
        customer_id,
        CAST(frequency AS DOUBLE) AS purchases,
        CAST(recency AS DOUBLE) AS last_purchase,
        CAST("T" AS DOUBLE) AS age,
        spend_model() AS spend
    FROM summary_table
),

checked AS (
    SELECT
        *,
        purchases BETWEEN 0 AND $most_purchases AND purchases = FLOOR(purchases) AND age BETWEEN 0 AND $largest_age
        AND last_purchase BETWEEN 0 AND age * 1.000000001 AND (purchases > 0 OR last_purchase = 0) AS is_possible
    FROM given
),

histories AS MATERIALIZED (
    SELECT
        customer_id,
        CASE WHEN is_possible THEN purchases END AS purchases,
        CASE WHEN is_possible AND last_purchase < age THEN last_purchase WHEN is_possible THEN age END AS last_purchase,
        CASE WHEN is_possible THEN age END AS age,
        CASE WHEN is_possible THEN spend END AS spend
    FROM checked
),

forecasts AS MATERIALIZED (SELECT * FROM purchase_model),

bounded AS MATERIALIZED (
    SELECT *, EXP(within_range(dead_log_odds)) AS dead_odds
    FROM forecasts
),

chances AS MATERIALIZED (
    SELECT *, 1 / (1 + dead_odds) AS p_alive, dead_odds / (1 + dead_odds) AS p_dead
    FROM bounded
)

SELECT
    customer_id,
    p_alive,
    p_dead + p_alive * none_if_alive AS probability_no_purchase,
    p_alive * purchases_if_alive AS expected_purchases,
    spend AS expected_spend_per_purchase,
    p_alive * purchases_if_alive * spend AS expected_spend,
    p_alive * discounted_if_alive * spend AS clv
FROM chances
