-- Ended runs go, and their ids are free; all that belongs to them goes in the same moment.
-- With the last generation of a run go those before it.
with ended as materialized (
    select id from runs
    where status <> 0 and (id = any ($1) or id in (
        select before.id from runs as last join runs as before on before.workflow_id = last.workflow_id
        where last.id = any ($1) and last.status not in (0, 5) and before.generation < last.generation
    ))
    order by id for update
),
gone as (
    delete from runs using ended where runs.id = ended.id returning runs.id
),
h as (delete from history using gone where history.run = gone.id),
a as (delete from attempts using gone where attempts.run = gone.id),
c as (delete from commands using gone where commands.run = gone.id),
f as (delete from failures using gone where failures.run = gone.id),
m as (delete from mailbox using gone where mailbox.run = gone.id),
r as (delete from received using gone where received.run = gone.id),
q as (delete from requests using gone where requests.run = gone.id),
y as (delete from replies using gone where replies.run = gone.id),
u as (delete from states using gone where states.run = gone.id),
d as (delete from dead_letters using gone where dead_letters.run = gone.id)
select count(*) from gone
