delete from requests where run = ?1
