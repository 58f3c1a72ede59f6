delete from blobs where run = ?1
