-- An ended run goes, and its id is free. The other tables follow while it is gone.
delete from runs where id = ?1 and status <> 0
