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

SELECT 'error:currencies', count(*), min(rowid), ''
FROM staged
WHERE fate IS NULL AND currency <> (SELECT min(currency) FROM staged WHERE fate IS NULL)
HAVING count(*) > 0

UNION ALL

SELECT reason, count(*), min(staged.rowid), ''
FROM staged
JOIN (
    SELECT
        customer_id,
        CASE
            -- Inside an id the joiners of Persian and of emoji (U+200C, U+200D) mean something; other marks are not to be seen.
            WHEN regexp_matches(customer_id, '^[\s\p{Z}\p{Cf}]|[\s\p{Z}\p{Cf}]$|\p{Cc}|[\p{Zl}\p{Zp}\x{AD}\x{200B}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2069}\x{FEFF}]')
                THEN 'error:id_whitespace'
            WHEN regexp_full_match(customer_id, '[+-]?\d([.,]\d+)?[eE][+]\d+|[+-]?\d[.,]\d+[eE]\d+') THEN 'error:id_float'
            WHEN regexp_full_match(customer_id, '[+-]?\d+([.,]0+|[eE]\d+)')
                 AND (SELECT bool_and(regexp_full_match(customer_id, '[+-]?\d+([.,]\d+|[eE]\d+)?')) FROM staged WHERE fate IS NULL)
                THEN 'error:id_float'
        END AS reason
    FROM (SELECT DISTINCT customer_id FROM staged WHERE fate IS NULL)
) AS suspects USING (customer_id)
WHERE staged.fate IS NULL AND reason IS NOT NULL
GROUP BY reason
ORDER BY first_row, reason
