-- An ended run is open no more.
delete from active where run = ?1
