select min(due) from active
where owner is null and queue = 0 and priority = 0 and due < 9223372036854775807
