-- Pareto/NBD: lambda ~ Gamma(r, alpha), dropout rate mu ~ Gamma(s, beta). Of a customer alive at start_day who bought
-- nothing until last_day, "left in between" over "alive and silent since start_day's instant" is
--     gone = int ((alpha+start)/(alpha+y))^(r+x) ((beta+start)/(beta+y))^(s+1) s/(beta+start) dy.
-- From the last purchase to T it makes the odds of being gone, from T to the horizon's end the chance of buying nothing.
-- Gauss and Legendre's rule on v = ln(y + m), m = min(alpha, beta), as far as the integrand is above e^-depth.
WITH spans AS MATERIALIZED (
    SELECT purchases, last_purchase AS start_day, age AS last_day
    FROM histories
    WHERE purchases IS NOT NULL
    UNION
    SELECT purchases, age AS start_day, age + $horizon AS last_day
    FROM histories
    WHERE purchases IS NOT NULL
),

paces AS MATERIALIZED (
    SELECT
        *,
        (last_day - start_day) / ($least + start_day) AS growth,
        ($r + purchases) * ($least + start_day) / ($alpha + start_day)
        + ($s + 1) * ($least + start_day) / ($beta + start_day) - 1 AS fall
    FROM spans
),

lengths AS MATERIALIZED (
    SELECT purchases, start_day, last_day, fall, log_one_plus(growth) AS v
    FROM paces
),

reaches AS MATERIALIZED (
    SELECT purchases, start_day, last_day, CASE WHEN fall * v > $depth THEN $depth / fall ELSE v END AS reach
    FROM lengths
),

moments AS (
    SELECT
        purchases, start_day, last_day, reach * weight AS weight, reach * share AS v,
        EXP(reach * share) - 1 AS growth
    FROM reaches
    CROSS JOIN nodes
),

silences AS (
    SELECT
        purchases, start_day, last_day, weight, v,
        growth * ($least + start_day) / ($alpha + start_day) AS bought_growth,
        growth * ($least + start_day) / ($beta + start_day) AS left_growth
    FROM moments
),

departures AS MATERIALIZED (
    SELECT
        purchases, start_day, last_day,
        SUM(weight * EXP(v - LEAST(
            ($r + purchases) * log_one_plus(bought_growth) + ($s + 1) * log_one_plus(left_growth), 300
        ))) * ($least + start_day) * $s / ($beta + start_day) AS gone
    FROM silences
    GROUP BY purchases, start_day, last_day
),

lifetimes AS MATERIALIZED (
    SELECT ages.age, times.is_horizon, times.factor, times.days / ($beta + ages.age) AS growth
    FROM (SELECT DISTINCT age FROM histories WHERE age IS NOT NULL) AS ages
    CROSS JOIN times
),

fades AS MATERIALIZED (
    SELECT age, is_horizon, factor, log_one_plus(growth) AS fade, $s_less_one * log_one_plus(growth) AS excess
    FROM lifetimes
),

days_alive AS MATERIALIZED (
    SELECT
        age,
        SUM(is_horizon * factor * fade * mean_decay(excess)) * ($beta + age) AS in_horizon,
        SUM((1 - is_horizon) * factor * fade * mean_decay(excess)) * ($beta + age) AS discounted
    FROM fades
    GROUP BY age
),

paths AS MATERIALIZED (
    SELECT
        *,
        age + $horizon AS end_day,
        $r + purchases AS k,
        (age - last_purchase) / ($alpha + last_purchase) AS silence,
        (age - last_purchase) / ($beta + last_purchase) AS absence,
        $horizon / ($alpha + age) AS outlook,
        $horizon / ($beta + age) AS far_outlook
    FROM histories
),

logs AS MATERIALIZED (
    SELECT
        *,
        k * log_one_plus(silence) + $s * log_one_plus(absence) AS log_alive,
        k * log_one_plus(outlook) + $s * log_one_plus(far_outlook) AS log_stays
    FROM paths
)

SELECT
    logs.customer_id,
    logs.spend,
    CASE WHEN past.gone > 0 THEN LN(past.gone) + logs.log_alive ELSE -1000 + 0 * logs.k END AS dead_log_odds,
    future.gone + vanishing(logs.log_stays) AS none_if_alive,
    logs.k / ($alpha + logs.age) * days_alive.in_horizon AS purchases_if_alive,
    logs.k / ($alpha + logs.age) * days_alive.discounted AS discounted_if_alive
FROM logs
LEFT JOIN departures AS past
    ON logs.purchases = past.purchases AND logs.last_purchase = past.start_day AND logs.age = past.last_day
LEFT JOIN departures AS future
    ON logs.purchases = future.purchases AND logs.age = future.start_day AND logs.end_day = future.last_day
LEFT JOIN days_alive ON logs.age = days_alive.age
