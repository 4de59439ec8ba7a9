-- The next showtimes of a film at one cinema, for the marks on films.
create index showtimes_of_films_at_cinemas on showtimes (cinema_id, movie_id, starts_at, id);
