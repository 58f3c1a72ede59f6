select run, number, kind, name, call, body from mailbox where run = any ($1) order by number
