-- Requests of a run that were not answered.
select message from requests where run = ?1 order by message
