-- Who made a version of a layout; null for those from before, and where no person did.
alter table screen_layouts add column created_by uuid;
