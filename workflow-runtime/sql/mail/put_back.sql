-- What a run had and did not take comes before everything that its next generation has.
insert into mailbox (number, run, message, kind, name, body, at) values (?1, ?2, ?3, 'signal', ?4, ?5, ?6)
