-- Who has an open run in hand; nobody else changes that until the transaction ends.
select owner from active where run = $1 for update
