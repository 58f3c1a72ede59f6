insert into early (workflow_id, message, name, body, at) values (?1, ?2, ?3, ?4, ?5)
