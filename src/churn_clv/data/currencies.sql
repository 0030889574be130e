-- Lines that are in another currency than the first by the alphabet, by one of the columns that tell it; a blank tells none.
SELECT 'error:currencies', count(*), min(rowid), ''
FROM (SELECT rowid, nullif(split_part(currency, chr(31), CAST($place AS INTEGER)), '') AS told FROM staged WHERE fate IS NULL)
WHERE told <> (SELECT min(nullif(split_part(currency, chr(31), CAST($place AS INTEGER)), '')) FROM staged WHERE fate IS NULL)
HAVING count(*) > 0
