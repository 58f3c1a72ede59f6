-- Whether a message was accepted before.
select exists (select 1 from mailbox where message = ?1)
    or exists (select 1 from received where message = ?1)
    or exists (select 1 from early where message = ?1)
