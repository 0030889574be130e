-- Of lines identical in every column of the file, all but the first get the fate 'duplicate'.
CREATE OR REPLACE TABLE staged AS
SELECT
    * EXCLUDE (fate),
    CASE
        WHEN fate IS NULL
             AND row_number() OVER (PARTITION BY fate, row_hash, customer_id, day, amount ORDER BY rowid) > 1 THEN 'duplicate'
        ELSE fate
    END AS fate
FROM staged
