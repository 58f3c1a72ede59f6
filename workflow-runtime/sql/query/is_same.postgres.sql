-- Whether the row of that place is the one that is sent again. A payload is not compared: a codec
-- may give another each time.
select writer = $3 and kind = $4 and call is not distinct from $5 and at = $6
from history where run = $1 and seq = $2
