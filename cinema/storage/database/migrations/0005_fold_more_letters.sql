-- Search finds "Łódź" for "lodz" from here on: what is stored folded is folded again, as
-- cinema/domain/text.py folds now. Films are few, and no commit waits for them.
create function pg_temp.fold_more(folded text) returns text language sql immutable as $$
select replace(replace(replace(replace(replace(replace(replace(replace(replace(translate(folded,
    'ðđɖɗłƚɫɬɭøɵħɦıɨŋɲɳƞŧƭʈƀɓƃƈȼɇɛƒɠǥɡɉʝĸƙɱƥɍɼɽȿʂʉʋⱱⱳƴɏƶȥʐɀ’‘‚‛ʼʻʽʹ′`“”„‟«»‐‑‒–—―−',
    'ddddllllloohhiinnnntttbbbcceefgggjjqkmprrrssuvvwyyzzzz''''''''''''''''''''""""""-------'), 'æ', 'ae'), 'œ', 'oe'), 'ꜳ', 'aa'), 'ꜵ', 'ao'), 'ꜷ', 'au'), 'ꜹ', 'av'), 'ꜽ', 'ay'), 'ꝏ', 'oo'), 'þ', 'th')
$$;
update movies set
    sort_title = pg_temp.fold_more(sort_title),
    genre_keys = array(
        select pg_temp.fold_more(key) from unnest(genre_keys) with ordinality as keys (key, place)
        order by place
    )
where sort_title is distinct from pg_temp.fold_more(sort_title)
    or array_to_string(genre_keys, ' ') is distinct from
        pg_temp.fold_more(array_to_string(genre_keys, ' '));
