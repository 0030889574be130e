-- BG/NBD and MBG/NBD: lambda ~ Gamma(k, A) and p ~ Beta(a, c) of a living customer, k = r + x, A = alpha + T. Her expected
-- purchases up to t, E[(1 - (1 + p t/A)^-k) / p], depend on (x, T) only. The mean over p is a trapezoidal rule after
-- p = 1 - e^-s, s = (ln(1 + a/c) + 1/c) e^step, whose nodes suit every c; its weights are normalised by their sum.
WITH shapes AS MATERIALIZED (
    SELECT purchases, $r + purchases AS k, $b + $first_chance + purchases AS c, $a / ($b + $first_chance + purchases) AS odds
    FROM (SELECT DISTINCT purchases FROM histories WHERE purchases IS NOT NULL) AS frequencies
),

scales AS MATERIALIZED (
    SELECT purchases, k, c, log_one_plus(odds) AS log_growth, $a_less_one * LN($a / ($a + c)) AS log_density
    FROM shapes
),

places AS MATERIALIZED (
    SELECT
        purchases, k, c, EXP(log_step) * (log_growth + 1 / c) AS s,
        log_weight + log_step - log_density + c * log_growth AS log_weight
    FROM scales
    CROSS JOIN nodes
),

dropouts AS MATERIALIZED (
    SELECT purchases, k, c, s, log_weight, one_minus_exp(s) AS p
    FROM places
),

densities AS MATERIALIZED (
    SELECT purchases, k, p, log_weight + $a_less_one * LN(p) - c * s AS log_mass
    FROM dropouts
),

masses AS MATERIALIZED (
    SELECT purchases, k, p, EXP(within_range(log_mass)) AS mass
    FROM densities
),

totals AS MATERIALIZED (
    SELECT purchases, SUM(mass) AS mass
    FROM masses
    GROUP BY purchases
),

weights AS MATERIALIZED (
    SELECT masses.purchases, masses.k, masses.p, masses.mass / totals.mass / masses.p AS weight
    FROM masses
    INNER JOIN totals ON masses.purchases = totals.purchases
),

states AS MATERIALIZED (
    SELECT DISTINCT purchases, age, $alpha + age AS pace
    FROM histories
    WHERE purchases IS NOT NULL
),

outlooks AS (
    SELECT
        states.purchases, states.age, times.is_horizon, weights.k, weights.weight * times.factor AS weight,
        weights.p * times.days / states.pace AS growth
    FROM states
    INNER JOIN weights ON states.purchases = weights.purchases
    CROSS JOIN times
),

sums AS MATERIALIZED (
    SELECT purchases, age, is_horizon, SUM(weight * some_bought(growth)) AS expected
    FROM outlooks
    GROUP BY purchases, age, is_horizon
),

means AS MATERIALIZED (
    SELECT
        purchases, age,
        SUM(is_horizon * expected) AS purchases_if_alive,
        SUM((1 - is_horizon) * expected) AS discounted_if_alive
    FROM sums
    GROUP BY purchases, age
),

odds AS MATERIALIZED (
    SELECT
        *,
        $r + purchases AS k,
        (age - last_purchase) / ($alpha + last_purchase) AS silence,
        $horizon / ($alpha + age) AS outlook,
        -- without a chance to leave she is alive
        CASE WHEN purchases + $first_chance > 0 THEN $a / ($b + (purchases - 1 + $first_chance)) ELSE 0 END AS chance
    FROM histories
),

logs AS MATERIALIZED (
    SELECT *, k * log_one_plus(silence) AS log_silence, k * log_one_plus(outlook) AS log_outlook
    FROM odds
)

SELECT
    logs.customer_id,
    logs.spend,
    CASE WHEN logs.chance > 0 THEN LN(logs.chance) + logs.log_silence ELSE -1000 + 0 * logs.k END AS dead_log_odds,
    vanishing(logs.log_outlook) AS none_if_alive,
    means.purchases_if_alive,
    means.discounted_if_alive
FROM logs
LEFT JOIN means ON logs.purchases = means.purchases AND logs.age = means.age
