-- Whether there is anything to look for, in any run.
select exists (select 1 from commands where done = 0), exists (select 1 from attempts)
