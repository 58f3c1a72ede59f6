-- Runs of a window of numbers that ended before a time: completed, or followed by another generation. The
-- first generation stays until the last one goes: it holds the workflow id.
select id from runs
where id > ?1 and id <= ?2 and (status = 1 or (status = 5 and generation > 1)) and ended < ?3
