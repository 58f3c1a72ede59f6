delete from early where number = ?1
