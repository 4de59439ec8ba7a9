-- Who changes the settings of a waiting room says which ones it has seen. The numbers are of all rooms, so one that was
-- closed and opened again has another version. Those that nodes of the version before change keep theirs.
create sequence waiting_room_versions;
alter table waiting_rooms add column version bigint not null default nextval('waiting_room_versions');
