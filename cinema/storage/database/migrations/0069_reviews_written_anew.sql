-- Whether somebody has taken away a review of a film that a moderator had not let pass: what they write
-- anew waits, too.
create index reviews_taken_away on reviews (user_id, movie_id, deleted_at) where deleted_at is not null;
