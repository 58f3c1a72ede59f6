-- A payload that is too large for a page of the history.
insert into blobs (run, seq, body) values (?1, ?2, ?3)
