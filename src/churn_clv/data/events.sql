-- Events of the kinds asked for, per cutoff, customer and kind. A row sees nothing after its cutoff.
SELECT c.cutoff,
       e.customer_id,
       e.kind,
       CAST(count(*) FILTER (WHERE e.day > c.cutoff - 28) AS DOUBLE) AS last_28_days,
       CAST(count(*) FILTER (WHERE e.day > c.cutoff - 91) AS DOUBLE) AS last_91_days,
       CAST(count(*) AS DOUBLE) AS ever,
       CAST(c.cutoff - max(e.day) AS DOUBLE) AS days_since_last
FROM (SELECT unnest(CAST($cutoffs AS DATE[])) AS cutoff) AS c
JOIN events AS e ON e.day <= c.cutoff
WHERE list_contains(CAST($kinds AS VARCHAR[]), e.kind)
GROUP BY c.cutoff, e.customer_id, e.kind
