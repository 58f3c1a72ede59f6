insert into early (workflow_id, message, kind, name, asker, asker_call, body, at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
