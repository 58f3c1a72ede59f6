-- Messages between runs, and children.

-- The call of the parent that waits for it.
alter table runs add column parent_call integer;

-- How many messages came for a run, how many of them its owner was told of, and how many it has not taken.
alter table active add column heard integer not null default 0;
alter table active add column unread integer not null default 0;

create index active_mail on active (owner) where mail > heard;

-- What has not been taken. A number is never given twice.
create table mailbox (
    number integer primary key autoincrement,
    run integer not null,
    message text not null unique,         -- made by the sender before its first try
    kind text not null,                   -- signal, request, reply, child
    name text not null,
    call integer,                         -- the call that it answers
    body text not null,
    at integer not null
) strict;

create index mailbox_run on mailbox (run, number);

-- Signals that were taken or buried: one that is sent again is known.
create table received (
    message text not null primary key,
    run integer not null
) strict, without rowid;

create index received_run on received (run);

-- Signals for runs that have not been started.
create table early (
    number integer primary key autoincrement,
    workflow_id text not null,
    message text not null unique,
    kind text not null,                   -- signal, request
    name text not null,
    asker integer,
    asker_call integer,
    body text not null,
    at integer not null
) strict;

create index early_id on early (workflow_id);

-- Requests that have no reply yet, and who waits for it: a call of a run, or a client.
create table requests (
    message text not null primary key,
    run integer not null,
    asker integer,                       -- null: a client
    call integer
) strict, without rowid;

create index requests_run on requests (run);

-- Replies that a client has yet to read.
create table replies (
    message text not null primary key,
    run integer not null,
    body text not null,
    at integer not null
) strict, without rowid;

create index replies_run on replies (run);

-- What a run shows to others, and how often it said so.
create table states (
    run integer primary key,
    version integer not null,
    body text not null
) strict;

alter table dead_letters add column body text;
