-- Products show pictures as films do: by their address, and those that nothing shows are deleted after a
-- while. A small table is written anew once.
alter table concession_products
    add column image_url text,
    add column image_digest text
        generated always as (substring(image_url from '^/media/([0-9a-f]{64})-')) stored;
create index concession_products_of_image on concession_products (image_digest)
    where image_digest is not null and deleted_at is null;
