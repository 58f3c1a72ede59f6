-- Completed runs of a window of numbers that ended before a time.
select id from runs where id > ?1 and id <= ?2 and status = 1 and ended < ?3
