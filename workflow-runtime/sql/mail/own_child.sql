-- The newest run of a child, if it is the child of that call.
select id from runs where workflow_id = ?1 and parent = ?2 and parent_call = ?3 order by generation desc limit 1
