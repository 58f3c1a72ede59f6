select next from counters where name = 'schema'
