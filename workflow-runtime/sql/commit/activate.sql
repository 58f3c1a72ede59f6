-- A new run is open: in hand, or free where the owner is null.
insert into active (run, owner, due) values (?1, ?2, ?3)
