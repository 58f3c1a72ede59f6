-- Whoever waits for a run, before it: in the order of numbers as far as they are smaller, as parents are.
select run from active
where run in (select parent from runs where id = $1 union select asker from requests where requests.run = $1)
order by run for no key update
