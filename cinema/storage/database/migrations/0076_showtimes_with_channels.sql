-- The showtimes whose quotas of channels of sale are released at a time: somebody has to offer what they leave.
create index showtimes_with_channels on showtimes (ends_at) where jsonb_typeof(rules -> 'channels') = 'array';
