-- A worker lives; nothing comes back if it was declared dead. The time is the database's.
update workers set beat = beat + 1 where writer = $1 and live
returning beat, (extract(epoch from clock_timestamp()) * 1000)::int8 as at,
          (select next from counters where name = 'schema') as version
