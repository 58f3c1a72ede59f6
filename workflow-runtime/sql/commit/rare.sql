-- Whether there is anything to look for, in any run; and whether somebody else wrote.
select exists (select 1 from commands where done = 0), exists (select 1 from attempts),
       (select data_version from pragma_data_version)
