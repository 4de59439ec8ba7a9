-- A date of birth that a customer may state, sealed: films for older people are not recommended then
-- (docs/adr/073-recommendations.md).
alter table recommendation_preferences add column date_of_birth bytea;
