-- Runs that wait for the replies to messages, or of runs.
select asker from requests where asker is not null and (message = any ($1) or run = any ($2))
