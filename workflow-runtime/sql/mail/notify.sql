-- The end of a child, for its parent.
insert into mailbox (run, message, kind, name, call, body, at)
select parent, 'child-' || id, 'child', workflow, parent_call, output, ended from runs where id = ?1
on conflict do nothing
