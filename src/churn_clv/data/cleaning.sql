-- Every line of the log, parsed, with its fate: NULL is kept, 'drop_rows:1' and so on left out, 'error:...' refused.
-- The first fate that applies counts, so the removals add up.
CREATE OR REPLACE TABLE staged AS
WITH parsed AS (
    SELECT
        CASE
            WHEN length(customer_id) <= 9
                 AND upper(customer_id) IN ('NA', 'N/A', 'N.A.', '#N/A', '#NV', '#N/V', 'NAN', 'NAT', 'NULL', '(NULL)', '[NULL]', 'NIL',
                                            'NONE', 'UNDEFINED', '(BLANK)', '<NA>', '\N', '#REF!', '#VALUE!', '#NAME?', '#DIV/0!',
                                            '#NUM!', '#NULL!') THEN NULL
            WHEN trim(customer_id, ' ' || chr(9) || chr(10) || chr(13) || chr(160)) = '' THEN NULL
            ELSE customer_id
        END AS customer_id,
        CASE
            WHEN date_native IS NOT NULL AND isfinite(date_native) THEN date_native
            WHEN date_offset IS NOT NULL AND isfinite(date_offset) THEN timezone($timezone, date_offset)
            WHEN NOT $iso THEN NULL
            WHEN regexp_full_match(date_text, '\d{4}[-/]\d{2}[-/]\d{2}([ T]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)?)?')
                THEN TRY_CAST(replace(date_text, '/', '-') AS TIMESTAMP)
            WHEN regexp_full_match(date_text, '\d{8}') THEN try_strptime(date_text, '%Y%m%d')
            WHEN regexp_full_match(date_text, '\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)? ?(Z|UTC|[+-](0\d|1[0-4])(:?[0-5]\d)?)')
                THEN timezone($timezone, TRY_CAST(
                    replace(replace(replace(replace(date_text, 'UTC', 'Z'), ' Z', 'Z'), ' +', '+'), ' -', '-') AS TIMESTAMPTZ))
        END AS moment,
        date_text,
        date_offset IS NOT NULL OR ($iso AND regexp_matches(date_text, ':\d{2}([.]\d+)? ?(Z|UTC|[+-]\d{2}(:?\d{2})?)$')) AS has_offset,
        coalesce(
            amount_number,
            CASE WHEN regexp_full_match(amount_text, $number)
                 THEN TRY_CAST(replace(amount_text, ',', '.') AS DOUBLE) END
        ) AS amount,
        amount_text,
        amount_marks,
        coalesce(
            margin_number,
            CASE WHEN regexp_full_match(margin_text, $number)
                 THEN TRY_CAST(replace(margin_text, ',', '.') AS DOUBLE) END
        ) AS margin,
        margin_text,
        coalesce(
            quantity_number,
            CASE WHEN regexp_full_match(quantity_text, $number)
                 THEN TRY_CAST(replace(quantity_text, ',', '.') AS DOUBLE) END
        ) AS quantity,
        quantity_text,
        order_id,
        product_id,
        channel,
        currency,
        dropped_by,
        row_hash
    FROM raw_lines
),

judged AS (
    SELECT
        *,
        CASE
            WHEN dropped_by IS NOT NULL THEN 'drop_rows:' || dropped_by
            WHEN customer_id IS NULL THEN $missing_customer
            WHEN moment IS NULL AND (date_text IS NULL OR upper(date_text) IN ('', 'NAT', 'NA', 'N/A', 'NULL', 'NAN', 'NONE'))
                THEN 'error:date_missing'
            WHEN moment IS NULL THEN 'error:date'
            WHEN CAST(moment AS DATE) < CAST($start AS DATE) THEN 'before_start'
            WHEN CAST(moment AS DATE) > CAST($end AS DATE) THEN 'after_end'
            WHEN CAST(moment AS DATE) < DATE '1970-01-01' THEN 'error:ancient'
            WHEN CAST(moment AS DATE) > CAST($latest AS DATE) THEN 'error:future'
            WHEN NOT $has_amount THEN NULL
            WHEN amount IS NULL AND (amount_text IS NULL OR upper(amount_text) IN ('', 'NA', 'N/A', 'NULL', 'NAN', 'NONE'))
                THEN 'error:amount_missing'
            WHEN isnan(amount) THEN 'error:amount_missing'
            WHEN amount IS NULL THEN 'error:amount'
            WHEN abs(amount) >= 1e12 THEN 'error:amount_huge'
            WHEN NOT $has_margin THEN NULL
            WHEN margin IS NULL AND (margin_text IS NULL OR upper(margin_text) IN ('', 'NA', 'N/A', 'NULL', 'NAN', 'NONE'))
                THEN 'error:margin_missing'
            WHEN isnan(margin) THEN 'error:margin_missing'
            WHEN margin IS NULL THEN 'error:margin'
            WHEN abs(margin) >= 1e12 THEN 'error:margin_huge'
        END AS fate
    FROM parsed
)

SELECT
    customer_id,
    CAST(moment AS DATE) AS day,
    has_offset,
    $iso AND has_offset AND CAST(moment AS DATE) <> TRY_CAST(substr(date_text, 1, 10) AS DATE) AS was_moved,
    -- Money is kept to a millionth, so that sums are exact and no order of the rows can change them.
    CASE WHEN fate IS NULL THEN CAST(TRY_CAST(amount AS DECIMAL(18, 6)) AS DOUBLE) END AS amount,
    -- A large amount comes back from a decimal with another last bit; that is no rounding.
    fate IS NULL AND abs(amount - CAST(TRY_CAST(amount AS DECIMAL(18, 6)) AS DOUBLE)) > abs(amount) * 1e-15 AS was_rounded,
    CASE WHEN fate IS NULL THEN CAST(TRY_CAST(margin AS DECIMAL(18, 6)) AS DOUBLE) END AS margin,
    quantity,
    CASE WHEN fate IS NULL AND quantity IS NULL AND quantity_text <> '' THEN quantity_text END AS bad_quantity,
    order_id,
    product_id,
    channel,
    currency,
    amount_marks,
    row_hash,
    CASE WHEN fate LIKE 'error:%' THEN coalesce(CASE WHEN fate LIKE 'error:amount%' THEN coalesce(amount_text, CAST(amount AS VARCHAR))
                                                     WHEN fate LIKE 'error:margin%' THEN coalesce(margin_text, CAST(margin AS VARCHAR))
                                                     ELSE coalesce(date_text, CAST(CAST(moment AS DATE) AS VARCHAR)) END, '') END AS bad_value,
    fate
FROM judged
