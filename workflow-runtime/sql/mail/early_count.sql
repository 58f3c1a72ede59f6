select count(*) from early where workflow_id = ?1
