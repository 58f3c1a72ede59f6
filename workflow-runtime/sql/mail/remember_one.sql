-- Once: the item may be sent again.
insert into received (message, run) values (?1, ?2) on conflict do nothing
