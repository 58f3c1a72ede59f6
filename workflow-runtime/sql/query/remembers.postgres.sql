-- What of all that was acknowledged is not there: numbers that were given, signs of life; and by
-- position, starts (no seq), rows, ends. A run that is not there may have been deleted: `gone`.
select
    coalesce((select next < $1 from counters where name = 'runs'), $1 > 0) as numbers,
    coalesce((select beat < $3 from workers where writer = $2), false) as beats,
    coalesce(array_agg(z.n) filter (where runs.id is null and z.n is not null), '{}') as gone,
    coalesce(array_agg(z.n) filter (where
        (runs.id is not null and z.seq is not null and not exists (
            select 1 from history where history.run = z.run and history.seq = z.seq
        )) or (z.ends and runs.status = 0)
    ), '{}') as missing
from unnest($4::int4[], $5::int8[], $6::int4[], $7::bool[]) as z (n, run, seq, ends)
left join runs on runs.id = z.run
