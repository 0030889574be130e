-- Scores of everyone, added up by the columns of $by. Money and risk are summed as decimals: exact in any order.
SELECT $by,
       count(*) AS customers,
       CAST(sum(CAST(churn_probability AS DECIMAL(38, 12))) AS DOUBLE) / count(*) AS churn_probability,
       CAST(sum(CAST(expected_spend AS DECIMAL(38, 12))) AS DOUBLE) AS expected_spend,
       CAST(sum(CAST(value_if_active AS DECIMAL(38, 12))) AS DOUBLE) / count(*) AS value_if_active,
       CAST(sum(CAST(value_at_risk AS DECIMAL(38, 12))) AS DOUBLE) AS value_at_risk,
       CAST(sum(CAST(clv AS DECIMAL(38, 12))) AS DOUBLE) AS clv,
       count(*) FILTER (WHERE win_back) AS win_back,
       count(*) FILTER (WHERE contact) AS contacted,
       CAST(sum(CASE WHEN contact OR expected_outlay IS NULL THEN CAST(expected_outlay AS DECIMAL(38, 12)) ELSE 0 END) AS DOUBLE)
           AS outlay,
       CAST(sum(CASE WHEN contact OR contact_profit IS NULL THEN CAST(contact_profit AS DECIMAL(38, 12)) ELSE 0 END) AS DOUBLE)
           AS contact_profit,
       CAST(sum(CAST(contact_profit AS DECIMAL(38, 12))) AS DOUBLE) AS profit_if_all
FROM scored
GROUP BY $by
ORDER BY $by
