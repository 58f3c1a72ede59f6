-- A request is answered once: who waits for it.
delete from requests where message = ?1 and run = ?2 returning asker, call
