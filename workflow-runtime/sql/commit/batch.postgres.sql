-- A whole batch in one statement and one round trip. Differs from SQLite, where a statement costs no
-- round trip and each item has its own. What stands between braces is left out where no item needs it;
-- `careful` as long as no row is in the way of another: a row that goes in without looking costs less. If
-- one is in the way nothing goes in, and the same batch is sent again with care.
-- For the planner: `(.. in (..)) is true` is a hash, where `in` alone would be a loop in a loop; a
-- scalar subquery goes through an index, where `exists` beside an `or` would read a whole table; and
-- `(owner = $1) is true` keeps it from all rows of an owner.
with
--{successors
n as (
    -- Numbers for the next generations, taken before any other lock.
    insert into counters (name, next) values ('runs', 1 + cardinality($66::int8[]))
    on conflict (name) do update set next = counters.next + cardinality($66::int8[])
    returning next - cardinality($66::int8[]) as first
),
--}
f as materialized (
    -- A writer that was declared dead writes nothing: whoever takes over waits for this lock.
    select 1 from lanes
    --{successors
    , n
    --}
    where writer = $1 and lane = $2 and not fenced for no key update of lanes
),
s as (
    insert into runs
        (id, workflow, workflow_id, args, seed, decided, meta, writer, created, status, output, ended)
    select z.run, z.workflow, z.id, z.args, z.seed, z.decided, z.meta, $1, z.created, z.status, z.output,
           z.ended
    from f, unnest(
        $3::int8[], $4::text[], $5::text[], $6::text[], $7::int8[], $8::text[], $9::text[], $10::int8[],
        $11::int2[], $12::text[], $13::int8[]
    ) as z (run, workflow, id, args, seed, decided, meta, created, status, output, ended)
    on conflict do nothing
    returning id
),
a as (
    -- In hand (0), free (1), or set aside (2).
    insert into active (run, owner, due)
    select z.run, case when z.place = 0 then $1 end,
           case when z.place = 2 then 9223372036854775807 else z.created end
    from unnest($3::int8[], $10::int8[], $11::int2[], $14::int2[]) as z (run, created, status, place)
    where z.status = 0 and (z.run in (select id from s)) is true
),
g as (
    -- A run ends only in the hands of its owner, at its place, and if it knows all that it was asked.
    delete from active
    using f, unnest($15::int8[], $16::int4[], $17::int8[], $21::int8[]) as z (run, first, obeys, heard)
    where active.run = z.run and (active.owner = $1) is true and active.asked <= z.obeys
      and active.mail <= z.heard
      and (z.first = 1 or (select true from history h where h.run = z.run and h.seq = z.first - 1))
      --{careful
      and not exists (select 1 from history h where h.run = z.run and h.seq = z.first)
      --}
    returning active.run
),
h as (
    -- The first row of each item: only after its predecessor, only in an open run.
    insert into history (run, seq, kind, call, name, payload, decided, writer, at)
    select z.run, z.seq, z.kind, z.call, z.name, z.payload,
           case when z.last and z.run not in (select run from g) then null else z.decided end, $1, z.at
    from f, unnest(
        $22::int8[], $23::int4[], $24::text[], $25::int4[], $26::text[], $27::text[], $28::text[],
        $29::int8[], $30::bool[], $31::bool[], $32::int8[], $33::int8[]
    ) as z (run, seq, kind, call, name, payload, decided, at, last, ends, obeys, heard)
    where case
        when z.ends and z.run in (select run from g) then true
        else (
            select not z.ends or (active.owner = $1 and (active.asked > z.obeys or active.mail > z.heard))
            from active
            where active.run = z.run
        ) and (z.seq = 1 or (select true from history h where h.run = z.run and h.seq = z.seq - 1))
    end
    --{careful
    on conflict do nothing
    --}
    returning run
)
--{others
, m as (
    -- Its other rows. What ends the run is not delivered where the run goes on.
    insert into history (run, seq, kind, call, name, payload, decided, writer, at)
    select z.run, z.seq, z.kind, z.call, z.name, z.payload,
           case when z.last and z.run not in (select run from g) then null else z.decided end, $1, z.at
    from unnest(
        $34::int8[], $35::int4[], $36::text[], $37::int4[], $38::text[], $39::text[], $40::text[],
        $41::int8[], $42::bool[]
    ) as z (run, seq, kind, call, name, payload, decided, at, last)
    where (z.run in (select run from h)) is true
    --{careful
    on conflict do nothing
    --}
)
--}
, e as (
    update runs set status = z.how, output = z.output, ended = z.at
    from unnest($15::int8[], $18::int2[], $19::text[], $20::int8[]) as z (run, how, output, at)
    where runs.id = z.run and runs.status = 0 and (z.run in (select run from g)) is true
)
--{failures
, b as (
    insert into failures (run)
    select z.run from unnest($15::int8[], $18::int2[]) as z (run, how)
    where z.how in (2, 3, 4) and (z.run in (select run from g)) is true
    union all
    select z.run from unnest($3::int8[], $11::int2[]) as z (run, status)
    where z.status in (2, 3, 4) and (z.run in (select id from s)) is true
    on conflict do nothing
)
--}
--{rest
, r as materialized (
    -- Items without rows go in where their writer holds the run.
    select active.run from active, f, unnest($43::int8[]) as z (run)
    where active.run = z.run and (active.owner = $1) is true for no key update of active
),
k as (
    select run from h union all select run from r union all select id from s
),
settled as (
    delete from attempts using unnest($44::int8[], $45::int4[]) as z (run, call)
    where attempts.run = z.run and attempts.call = z.call and (z.run in (select run from k)) is true
),
tried as (
    insert into attempts (run, call, attempt, error, retry_at, detail)
    select z.run, z.call, z.attempt, z.error, z.retry_at, z.detail
    from unnest($46::int8[], $47::int4[], $48::int4[], $49::text[], $50::int8[], $51::text[])
        as z (run, call, attempt, error, retry_at, detail)
    where (z.run in (select run from k)) is true
    on conflict (run, call) do update
    set attempt = excluded.attempt, error = excluded.error, retry_at = excluded.retry_at,
        detail = excluded.detail
),
forgotten as (
    delete from attempts using g
    where attempts.run = g.run
),
obeyed as (
    update commands set done = true from unnest($52::int8[], $53::int8[]) as z (run, obeys)
    where commands.run = z.run and not commands.done and commands.id <= z.obeys
      and (z.run in (select run from k)) is true
),
unblocked as (
    delete from blocked using unnest($54::int8[]) as z (run)
    where blocked.run = z.run and (z.run in (select run from k)) is true
),
aside as (
    insert into blocked (run, build, report, at)
    select z.run, z.build, z.report, z.at
    from unnest($55::int8[], $56::text[], $57::text[], $58::int8[]) as z (run, build, report, at)
    where (z.run in (select run from k)) is true
    on conflict (run, build) do update set report = excluded.report, at = excluded.at
),
moved as (
    -- Sent again it finds its own due time, also if the run was claimed since: nothing to do.
    update active
    set owner = case when z.leaves and owner = $1 and active.due <> z.due then null else owner end,
        due = case
            when z.leaves and owner = $1 and active.due <> z.due
                then case when z.parks and (asked > z.obeys or mail > z.heard) then 0 else z.due end
            else active.due
        end,
        claims = case when z.clears or (z.leaves and owner = $1 and active.due <> z.due) then 0 else claims end,
        asked = case when asked <= z.obeys then 0 else asked end
    from unnest($59::int8[], $60::int8[], $61::bool[], $62::bool[], $63::bool[], $64::int8[],
                $65::int8[])
        as z (run, due, leaves, parks, clears, obeys, heard)
    where active.run = z.run and (z.run in (select run from k)) is true
)
--}
--{successors
, x as (
    -- The next generation of each run that ended for that, queued.
    insert into runs
        (id, workflow, workflow_id, generation, parent, parent_call, args, seed, meta, writer, created, status)
    select n.first + z.place - 1, z.workflow, z.id, coalesce(p.generation, 1) + 1, p.parent, p.parent_call, z.args,
           z.seed, z.meta, $1, z.created, 0
    from n, unnest(
        $66::int8[], $67::text[], $68::text[], $69::text[], $70::int8[], $71::text[], $72::int8[]
    ) with ordinality as z (run, workflow, id, args, seed, meta, created, place)
    left join runs as p on p.id = z.run
    where (z.run in (select run from g)) is true or (z.run in (select id from s)) is true
    returning id, created
),
y as (
    insert into active (run, owner, due) select id, null, created from x
)
--}
--{careful
, checked as (
    -- Who ends a run has its place; if not, nothing of the batch goes in.
    select 1 / case when exists (select 1 from g where run not in (select run from h)) then 0 else 1 end as ok
)
--}
select exists (select 1 from f) as live, array(select id from s) as started, array(select run from h) as placed,
       array(select run from g) as ended
       --{rest
       , array(select run from r) as rest
       --}
       --{careful
       , ok from checked
       --}
