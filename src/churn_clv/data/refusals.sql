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

-- Every amount with a mark has three digits behind it, as thousands have, and others have no mark.
SELECT 'error:amount_thousands', count(*) FILTER (WHERE amount_marks IN ('three', 'thousands')),
       min(rowid) FILTER (WHERE amount_marks IN ('three', 'thousands')), ''
FROM staged
WHERE fate IS NULL
HAVING count(*) FILTER (WHERE amount_marks = 'other') = 0
   AND count(*) FILTER (WHERE amount_marks IN ('three', 'thousands')) > 0
   AND count(*) FILTER (WHERE amount_marks IN ('whole', 'thousands')) > 0

UNION ALL

SELECT reason, count(*), min(staged.rowid), ''
FROM staged
JOIN (
    SELECT
        customer_id,
        CASE
            -- Inside an id the joiners of Persian and of emoji (U+200C, U+200D) mean something; other marks are not to be seen.
            WHEN regexp_matches(customer_id, '^[\s\p{Z}\p{Cf}]|[\s\p{Z}\p{Cf}]$|\p{Cc}|[\p{Zl}\p{Zp}\x{AD}\x{34F}\x{61C}\x{2800}\x{3164}\x{FFFD}\x{200B}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2069}\x{FEFF}]')
                THEN 'error:id_whitespace'
            WHEN regexp_full_match(customer_id, '[+-]?\d+([.,]\d+)?[eE][+]\d+|[+-]?\d+[.,]\d+[eE]\d+') THEN 'error:id_float'
            WHEN regexp_full_match(customer_id, '[+-]?\d+([.,]0+|[eE]\d+)')
                 AND (SELECT bool_and(regexp_full_match(customer_id, '[+-]?\d+([.,]\d+|[eE]\d+)?')) FROM staged WHERE fate IS NULL)
                THEN 'error:id_float'
            WHEN whole.customer_id IS NOT NULL THEN 'error:id_float'
            WHEN regexp_full_match(customer_id, '=".*"?') THEN 'error:id_formula'
        END AS reason
    FROM (SELECT DISTINCT customer_id FROM staged WHERE fate IS NULL) AS ids
    LEFT JOIN (  -- those that stand in the log as 1.0 and as 1
        SELECT f.customer_id
        FROM (SELECT DISTINCT customer_id, regexp_replace(customer_id, '[.,]0+\z', '') AS plain FROM staged
              WHERE fate IS NULL AND regexp_full_match(customer_id, '[+-]?\d+[.,]0+')) AS f
        SEMI JOIN (SELECT customer_id FROM staged WHERE fate IS NULL) AS p ON p.customer_id = f.plain
    ) AS whole USING (customer_id)
) AS suspects USING (customer_id)
WHERE staged.fate IS NULL AND reason IS NOT NULL
GROUP BY reason
ORDER BY first_row, reason
