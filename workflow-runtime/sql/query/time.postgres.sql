select (extract(epoch from clock_timestamp()) * 1000)::int8
