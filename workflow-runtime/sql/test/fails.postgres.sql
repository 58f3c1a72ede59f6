-- The next writes of history fail with a code, as often as the counter says.
create sequence if not exists failures_left;
select setval('failures_left', {count}, true);
create or replace function fails() returns trigger language plpgsql as $$
begin
    -- A sequence is not rolled back.
    if nextval('failures_left') <= {count} + {times} then
        raise exception 'on purpose' using errcode = '{code}';
    end if;
    return new;
end $$;
drop trigger if exists fails on history;
create trigger fails before insert on history for each row execute function fails();
