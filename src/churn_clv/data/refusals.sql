-- Why a log is refused: each reason with its rows, the first of them (from 0) and what stood there.
SELECT
    fate AS reason,
    count(*) AS n_rows,
    min(rowid) AS first_row,
    arg_min(bad_value, rowid) AS bad_value
FROM staged
WHERE fate LIKE 'error:%'
GROUP BY fate

UNION ALL

SELECT 'error:quantity', count(*), min(rowid), arg_min(bad_quantity, rowid)
FROM staged
WHERE bad_quantity IS NOT NULL
HAVING count(*) > 0

UNION ALL

SELECT 'error:mixed_offsets', count(*) FILTER (WHERE has_offset), min(rowid) FILTER (WHERE has_offset), ''
FROM staged
WHERE fate IS NULL
HAVING count(*) FILTER (WHERE has_offset) BETWEEN 1 AND count(*) - 1

UNION ALL

SELECT reason, count(*), min(staged.rowid), ''
FROM staged
JOIN (
    SELECT
        customer_id,
        CASE
            WHEN regexp_matches(customer_id, '^[\s\p{Z}\p{Cf}]|[\s\p{Z}\p{Cf}]$|\p{Cc}') THEN 'error:id_whitespace'
            WHEN regexp_full_match(customer_id, '[+-]?\d[.]\d+[eE][+]?\d+') THEN 'error:id_float'
            WHEN regexp_full_match(customer_id, '[+-]?\d+[.]0+')
                 AND (SELECT bool_and(regexp_full_match(customer_id, '[+-]?\d+[.]0+')) FROM staged WHERE fate IS NULL)
                THEN 'error:id_float'
        END AS reason
    FROM (SELECT DISTINCT customer_id FROM staged WHERE fate IS NULL)
) AS suspects USING (customer_id)
WHERE staged.fate IS NULL AND reason IS NOT NULL
GROUP BY reason
ORDER BY first_row, reason
