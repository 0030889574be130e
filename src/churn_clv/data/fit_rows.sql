-- Customers of a summary counted by their history, and by their spend, in one pass.
SELECT frequency, recency, "T", monetary_days, monetary_value,
       CAST(count(*) AS DOUBLE) AS customers,
       grouping(frequency) = 0 AS of_histories
FROM summary AS known
GROUP BY GROUPING SETS ((frequency, recency, "T"), (monetary_days, monetary_value))
ORDER BY of_histories, frequency, recency, "T", monetary_days, monetary_value
