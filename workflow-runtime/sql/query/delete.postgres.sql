-- Ended runs go, and their ids are free; all that belongs to them goes in the same moment.
with ended as materialized (
    select id from runs where id = any ($1) and status <> 0 order by id for update
),
gone as (
    delete from runs using ended where runs.id = ended.id returning runs.id
),
h as (delete from history using gone where history.run = gone.id),
a as (delete from attempts using gone where attempts.run = gone.id),
c as (delete from commands using gone where commands.run = gone.id),
f as (delete from failures using gone where failures.run = gone.id),
d as (delete from dead_letters using gone where dead_letters.run = gone.id)
select count(*) from gone
